from .main import execute as execute
