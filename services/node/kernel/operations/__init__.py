"""What each programming operation does to the kernel; KernelError with Linux's errno where it is refused."""
