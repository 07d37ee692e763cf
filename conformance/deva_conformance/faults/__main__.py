"""`python -m deva_conformance.faults`: the table, in Markdown. Exit status 1 if a fault lives or a legal variant dies."""

import sys

from deva_conformance.faults import FAULTS, LEGAL, MUSEUM
from deva_conformance.faults.table import Row, alone, killers, table


def line(row: Row) -> None:
    """One fault."""
    named = "**" + row.fault.law + "**" if row.fault.law in row.killers else f"{row.fault.law} (!)"
    others = ", ".join(k for k in row.killers if k != row.fault.law) or "—"
    kind = "museum" if row.name in MUSEUM else ""
    text = f"| {row.name} | {row.fault.on.__name__} | {row.fault.about} | {named} | {others} "
    print(f"{text}| {'yes' if row.naive else 'no'} | {kind} |", flush=True)


def main() -> int:
    """Print everything."""
    print("| fault | rule | what is wrong | killed by | and by | naive allclose | |\n|---|---|---|---|---|---|---|")
    rows = table(FAULTS, line)
    living = [row.name for row in rows if row.fault.law not in row.killers]
    print(
        f"\n{len(rows)} faults, {len(MUSEUM)} of them in the museum; {len(living)} not killed by their law {living or ''}"
    )
    print(f"naive: one 8×8 step, allclose: kills {sum(row.naive for row in rows)} of {len(rows)}\n")
    print("| law | kills | alone |\n|---|---|---|")
    for law, names in alone(rows).items():
        print(f"| {law} | {sum(law in row.killers for row in rows)} | {', '.join(names) or 'none'} |")
    rejected = {name: found for name, fault in LEGAL.items() if (found := killers(name, fault))}
    print(f"\n{len(LEGAL)} legal variants, rejected: {rejected or 'none'}")
    return 1 if living or rejected else 0


if __name__ == "__main__":
    sys.exit(main())
