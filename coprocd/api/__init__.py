"""The daemon's face: one Unix socket, two framings, one table of methods.

The path of a request, downward: `listener` accepts and checks the peer → `sniff` looks at its first byte → `lines` (newline framing) or
`http` (POST, websocket, event stream) → `connection` (what one peer has in progress, and its one sender) → `rpc` (envelopes and batches)
→ `binding` (params into structs) → `methods` (one function a method). Nothing here reads a session's bytes or owns a job.
"""
