"""Child processes that read the files of strangers, within limits that the kernel enforces."""

from petsearch.confined.launch import start_child
from petsearch.confined.limits import data_bytes, limit_memory, limit_time, settle

__all__ = ["data_bytes", "limit_memory", "limit_time", "settle", "start_child"]
