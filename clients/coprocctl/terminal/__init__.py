"""The terminal around `coprocctl attach`: what is read from it, what is written to it, and how it is left.

attachment      the loop: terminal, stream and signals
stream          the connection to the daemon, and where it is in the output
reconnection    when that is made anew, and what was typed meanwhile
drawing         output on its way to the terminal, and what the client adds to it
modes           what that output has set on the terminal, and so has to be reset
keyboard        what is typed, and the keys that are the client's
signals         those that the client minds, for a loop to wait for
hold            the terminal while it is the client's: taken, written to, given back
tty             raw mode, size, reading and writing
guardian        a process that restores the terminal when the client cannot
indicator       what is said of coprocess, pause and connection
title, status   where that is shown: the window's title, the last row
notification    what a trigger tells, as the desktop shows it
question        what a coprocess asks, and the answer
"""
