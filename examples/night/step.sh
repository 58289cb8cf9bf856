#!/bin/sh
# What every job does first: a line in the ledger, and whatever it has to say.
echo "$EXECUTIONER_JOB_ID" >> work/ledger.txt
if [ $# -gt 0 ]; then echo "$*"; fi
