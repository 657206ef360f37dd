"""Does a program survive its spelling in a manifest?"""

from __future__ import annotations

import json

from runtime_programs import chain, turning

from fusewright.runtime.manifest import program_from_json, program_to_json


def test_a_program_comes_back_as_it_was() -> None:
    for program in (chain(9, 4), turning(300, 2)):
        assert program_from_json(json.loads(json.dumps(program_to_json(program)))) == program
