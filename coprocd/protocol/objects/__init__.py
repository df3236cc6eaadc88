"""The shapes of params and results, strict: an unknown field, a wrong type or a value out of range is `invalid_params`.

Durations are seconds (`_s`), sizes bytes, offsets absolute byte positions in a session's output; times are seconds
since the Unix epoch. OpenRPC's schemas are made from these. One file a namespace of methods; all are named from here, as
the table of methods does.
"""

from typing import Any as Any  # `list[dict[str, Any]]` is a result, and is looked up here

from coprocd.protocol.objects.attach import *
from coprocd.protocol.objects.command import *
from coprocd.protocol.objects.coprocess import *
from coprocd.protocol.objects.daemon import *
from coprocd.protocol.objects.event import *
from coprocd.protocol.objects.prompt import *
from coprocd.protocol.objects.session import *
from coprocd.protocol.objects.trigger import *
from coprocd.protocol.objects.values import *
