"""``python3 -m executioner`` and ``python3 CHECKOUT/executioner``. Parses on any Python: an old one gets words."""
import sys

if not __package__:
    # Started as a folder: the path begins with the package itself, where its parent belongs.
    import os
    sys.path[0] = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))

try:
    from executioner.bootstrap import run
except KeyboardInterrupt:  # nothing has begun
    sys.exit(130)

if __name__ == "__main__":
    run()
