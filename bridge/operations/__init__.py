"""What operators ask: is the data consistent (audit), is the installation sound (doctor), how much is waiting."""
