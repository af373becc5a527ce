"""The whole stack as plain processes on one machine, every engine a real one."""
