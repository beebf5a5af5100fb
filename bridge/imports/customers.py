"""Find the customers of an import: accounts that Medusa knows by the file's ids or e-mail addresses."""

from collections import defaultdict
from collections.abc import Callable, Iterable

from bridge.ids import CustomerId
from bridge.imports.reading import Entry, Problem, Reading
from bridge.ledger.postings import MAX_DUST
from bridge.medusa.client import Medusa


def find_customers(
    medusa: Medusa | None, reading: Reading, progress: Callable[[int], None] = lambda _: None
) -> dict[int, CustomerId]:
    """Return the customer of each line; lines with an unknown or duplicate customer become problems of the reading.

    Without `medusa` ids are taken as they are, and e-mail addresses are problems. `progress` is called after each step
    with the number of rows that it processed. Raises `MedusaAway`.
    """
    ids = {entry.customer_id for entry in reading.entries if entry.customer_id}
    emails = {entry.email for entry in reading.entries if entry.email}
    known: set[str] = set(ids)
    by_email: dict[str, list[CustomerId]] = {}
    if medusa is not None:
        known = set()
        for customers in medusa.customers_with_account(ids=ids):
            known |= {customer["id"] for customer in customers}
            progress(len(customers))
        # Medusa compares case-sensitively, and may have stored an address as it was typed or in lower case.
        for customers in medusa.customers_with_account(emails=emails | {email.lower() for email in emails}):
            for customer in customers:
                by_email.setdefault(customer["email"].lower(), []).append(CustomerId(customer["id"]))
            progress(len(customers))
    customer_ids: dict[int, CustomerId] = {}
    wrong: list[Problem] = []
    for entry in reading.entries:
        customer_id = entry.customer_id if entry.customer_id in known else None
        matches = [] if entry.email is None else by_email.get(entry.email.lower(), [])
        if entry.email is not None and len(matches) == 1:
            customer_id = matches[0]
        if customer_id is None:
            wrong.append(_unknown(entry, several=len(matches) > 1, asked=medusa is not None))
        else:
            customer_ids[entry.line] = customer_id
    wrong += _doubled(reading, customer_ids)
    for problem in wrong:
        customer_ids.pop(problem.line, None)
    reading.entries = [entry for entry in reading.entries if entry.line in customer_ids]
    reading.problems = sorted([*reading.problems, *wrong], key=lambda problem: problem.line)
    return customer_ids


def _unknown(entry: Entry, *, several: bool, asked: bool) -> Problem:
    if not asked:
        message = "can only be looked up in Medusa: set DUST_MEDUSA_URL, or name customers by customer_id"
    elif entry.customer_id:
        message = "is no customer with an account in Medusa: correct it, or leave the row out"
    elif several:
        message = "belongs to several accounts in Medusa that differ in capitals: name the customer by customer_id"
    else:
        message = "belongs to no customer with an account in Medusa: correct it (also capitals), or leave the row out"
    return Problem(line=entry.line, field="customer_id" if entry.customer_id else "email", message=message)


def _doubled(reading: Reading, customer_ids: dict[int, CustomerId]) -> Iterable[Problem]:
    """Yield problems for duplicate rows: one balance per customer, and no two identical lots.

    Dust does not guess which row is right. All are refused, so that they can be corrected and imported separately.
    """
    alike: dict[object, list[Entry]] = defaultdict(list)
    sums: dict[CustomerId, int] = defaultdict(int)
    for entry in reading.entries:
        if entry.line not in customer_ids:
            continue
        customer_id = customer_ids[entry.line]
        sums[customer_id] += entry.amount
        if sums[customer_id] > MAX_DUST:
            message = f"brings the customer over {MAX_DUST} points, the maximum of a balance"
            yield Problem(line=entry.line, field="amount", message=message)
        dates = (entry.amount, entry.earned_at, entry.matures_at, entry.expires_at)
        alike[(customer_id, *dates) if reading.has_lots else customer_id].append(entry)
    for entries in alike.values():
        if len(entries) == 1:
            continue
        for entry, other in zip(entries, [*entries[1:], entries[0]], strict=True):
            if reading.has_lots:
                message = f"is the same as line {other.line}: keep one, or put both into one row when both are meant"
                yield Problem(line=entry.line, field="row", message=message)
            else:
                message = f"has a balance in line {other.line} as well: keep one of the rows"
                yield Problem(line=entry.line, field="email" if entry.email else "customer_id", message=message)
