"""The asyncio shell: every descriptor and pid of the daemon. It moves bytes; what they mean is decided in `core`.

The path of a byte, downward: `sessions` (all of them) → `session` (the pump) → `output_log`, `input_queue`, `coprocess`
→ `intake` and `feed` (the two movements) → `segment` (memory that outlives the daemon).
"""
