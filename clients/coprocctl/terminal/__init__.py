"""The terminal around `coprocctl attach`: what is read from it, what is written to it, and how it is left.

attachment      the loop: terminal, stream and signals
stream          the connection to the daemon, and where it is in the output
drawing         output on its way to the terminal, and what the client adds to it
modes           what that output has set on the terminal, and so has to be reset
keyboard        what is typed, and the keys that are the client's
tty             raw mode, size, reading and writing
guardian        a process that restores the terminal when the client cannot
title, status   where a coprocess is shown
question        what a coprocess asks, and the answer
"""
