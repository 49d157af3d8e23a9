"""What Dagster loads."""

import gc

# Nearly all that is made now stays for as long as the process does, and there is so much of it that
# looking through it for garbage, again and again, would take a tenth of the time.
gc.disable()
try:
    from clone_pipeline.defs.location import defs
finally:
    gc.freeze()
    gc.enable()

__all__ = ["defs"]
