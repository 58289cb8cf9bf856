"""SHA-256 without the module ``hashlib``, whose import of OpenSSL costs more than many a job takes."""
import sys
from importlib import import_module


__all__ = ["sha256_hex"]


def sha256_hex(data: bytes) -> str:
    """The SHA-256 of the data, hexadecimal."""
    try:
        module = import_module("_sha2" if sys.version_info >= (3, 12) else "_sha256")
    except ImportError:
        module = import_module("hashlib")  # an interpreter that was built without its own
    return str(module.sha256(data).hexdigest())
