"""The code of a module of ours, as it was loaded: for another interpreter, wherever the file is or was."""
from types import CodeType, ModuleType

from jobs.exceptions import InternalError

__all__ = ["code_of"]


def code_of(module: ModuleType) -> CodeType:
    """The code object that the import system has for a module.

    :raises InternalError: where it has none
    """
    loader = module.__spec__.loader if module.__spec__ is not None else None
    get_code = getattr(loader, "get_code", None)
    code = get_code(module.__name__) if get_code is not None else None
    if not isinstance(code, CodeType):
        raise InternalError("the code of %s cannot be found" % module.__name__)
    return code
