"""The screen: what a session's output looks like, kept by a terminal emulator in a process of its own."""
