#!/bin/sh
# Keeps a message; stands for a pager.
cat >> "work/${1:-messages.txt}"
