from .root import (
    execute as execute,
    main as main,
)
