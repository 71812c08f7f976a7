#!/usr/bin/env python3
"""Makes every automatic decision of a rollout again, from its records alone.

Reads the records of one rollout as JSON (a list, oldest first) and checks
  - the chain: each hash is SHA-256 over the record's canonical JSON (RFC 8785) without `hash`,
    each `prevHash` is the hash before, each `seq` is one more;
  - the evidence of harm of every counted metric, by rollout.md 5.1 to 5.3, from the plan and the
    windows: it must be what the record says, to 1e-6;
  - every decision: who advanced had minDuration, minSamples and, if asked for, the certificate, and
    no evidence of harm at 1/alpha; who was rolled back by evidence had it, for the first time; who
    was rolled back by fail-fast had failed enough.
It is written from the design with the standard library and shares no line with the product.
Prints what it did and ends with 0, or says what does not agree and ends with 1.
"""

import hashlib
import json
import math
import re
import sys

# rollout.md 5.2
EXCESS = [0.01, 0.02, 0.05, 0.10, 0.25, 0.50, 0.90]
PRIOR = [0.10, 0.25, 0.30, 0.15, 0.10, 0.05, 0.05]
EDGE = 1e-6
HALF_LIFE_MS = 30 * 60 * 1000
# Part of a component that starts later: 1/(i(i+1)) of it after the i-th window, so that the credit a
# candidate saves up is bounded.
LATER = 0.05
# An hour of even traffic, as it would weigh now in a rate of that half-life, with a prior of 1/2.
HOUR_WEIGHS = 0.75 / (2 * math.log(2))
# 5.8: weighs like five pairs of independent windows; at most so much tempering, of all and of a pair.
PRIOR_PAIRS = 5.0
PHI_MAX = 20.0
PAIR_MAX = 40.0
# 5.4
PARTS = [0.0, 0.25, 0.5, 0.75]
# 5.6: canary attempts due within a block, and their part that must have ended.
SETTLED_DUE = 20.0
SETTLED_PART = 0.8

DEFAULTS = [
    {"name": "errors", "share": 0.6},
    {"name": "rejections", "share": 0.1},
    {"name": "abandoned", "share": 0.1},
    {"name": "ttft", "share": 0.1},
    {"name": "duration", "share": 0.1},
    {"name": "cost", "mode": "observe"},
    {"name": "output-tokens", "mode": "observe"},
]
# Margins of plans that name none: points, ratio.
MARGINS = {
    "errors": (0.5, 1.0),
    "rejections": (1.0, 1.0),
    "abandoned": (2.0, 1.0),
    "ttft": (5.0, 2.0),
    "duration": (5.0, 2.0),
    "output-tokens": (10.0, 1.0),
}


class Differs(Exception):
    """Something does not agree."""


def need(holds, why):
    if not holds:
        raise Differs(why)


# --- canonical JSON -----------------------------------------------------------------------------


def number(value):
    """A number as ECMAScript prints it."""
    if isinstance(value, int):
        return str(value)
    if value == 0:
        return "0"
    sign, text = ("-", repr(-value)) if value < 0 else ("", repr(value))
    mantissa, _, exponent = text.partition("e")
    whole, _, fraction = mantissa.partition(".")
    fraction = "" if fraction == "0" else fraction
    digits = (whole + fraction).lstrip("0")
    point = len(whole) + int(exponent or 0) - (len(whole + fraction) - len(digits))
    digits = digits.rstrip("0")
    count = len(digits)
    if count <= point <= 21:
        text = digits + "0" * (point - count)
    elif 0 < point <= 21:
        text = digits[:point] + "." + digits[point:]
    elif -6 < point <= 0:
        text = "0." + "0" * -point + digits
    else:
        exponent = point - 1
        rest = "." + digits[1:] if count > 1 else ""
        text = f"{digits[0]}{rest}e{'+' if exponent > 0 else '-'}{abs(exponent)}"
    return sign + text


def canonical(value):
    if isinstance(value, bool) or value is None or isinstance(value, str):
        return json.dumps(value, ensure_ascii=False)
    if isinstance(value, (int, float)):
        return number(value)
    if isinstance(value, list):
        return "[" + ",".join(map(canonical, value)) + "]"
    members = sorted(value.items(), key=lambda item: item[0].encode("utf-16-be"))
    return "{" + ",".join(canonical(k) + ":" + canonical(v) for k, v in members) + "}"


def check_chain(records):
    before = None
    for record in records:
        rest = {name: member for name, member in record.items() if name != "hash"}
        found = hashlib.sha256(canonical(rest).encode()).hexdigest()
        need(found == record["hash"], f"record {record['seq']}: its hash would be {found}")
        if before is not None:
            need(record["prevHash"] == before["hash"], f"record {record['seq']}: prevHash")
            need(int(record["seq"]) == int(before["seq"]) + 1, f"record {record['seq']}: seq")
        before = record


# --- the plan -----------------------------------------------------------------------------------


def millis(text, default):
    if not text:
        return default
    units = {"ms": 1, "s": 1000, "m": 60_000, "h": 3_600_000}
    parts = re.findall(r"([0-9.]+)(ms|s|m|h)", text)
    return round(sum(float(n) * units[unit] for n, unit in parts))


def counted(metric):
    """Ratio and margin of the null, points of the certificate; None: not a counted ratio."""
    name = metric["name"]
    limits = metric.get("thresholdRange") or {}
    if metric.get("query") or metric.get("judge") == "threshold":
        return None
    if name == "request-success-rate":
        null = (0.0, (100.0 - limits.get("min", 0.0)) / 100.0)
    elif "max" in limits:
        margin = metric.get("margin") or {}
        null = (0.0, margin.get("points", 1.0) / 100.0)
    elif metric.get("maxRatio") is not None or name not in MARGINS:
        return None
    else:
        points, ratio = MARGINS[name]
        margin = metric.get("margin") or {}
        null = (margin.get("ratio", ratio), margin.get("points", points) / 100.0)
    tolerance = metric.get("tolerance", 2.0 if name == "errors" else None)
    return null, None if tolerance is None else tolerance / 100.0


def spends(metric):
    is_checked = metric.get("query") or metric.get("judge") == "threshold"
    return metric.get("mode", "enforce") in ("", "enforce") and not is_checked


class Plan:
    def __init__(self, document):
        analysis = document.get("analysis") or {}
        self.interval = millis(analysis.get("interval"), 10_000)
        self.alpha = analysis.get("alpha", 0.01)
        self.beta = analysis.get("beta", 0.05)
        self.warmup = millis(analysis["warmup"], 0) if analysis.get("warmup") else None
        steps = document.get("steps") or []
        if not steps:
            by, most = analysis.get("stepWeight", 100), analysis.get("maxWeight", 100)
            weights = analysis.get("stepWeights") or [
                min(by * i, most) for i in range(1, math.ceil(most / by) + 1)
            ]
            steps = [{"weight": weight} for weight in weights]
        self.steps = [
            {
                "weight": step["weight"],
                "ms": millis(step.get("minDuration"), self.interval),
                "samples": step.get("minSamples", 100),
                "certificate": step.get("certificate", False),
            }
            for step in steps
        ]
        promotion = document.get("promotion") or {}
        self.bake = millis(promotion.get("bake"), 900_000)
        fast = (analysis.get("guards") or {}).get("failFast") or {}
        self.fast = (fast.get("samples", 12), fast.get("percent", 80.0) / 100.0)
        metrics = analysis.get("metrics") or DEFAULTS
        given = sum(m["share"] for m in metrics if spends(m) and "share" in m)
        without = sum(1 for m in metrics if spends(m) and "share" not in m)
        each = max(0.0, 1.0 - given) / max(1, without)
        self.metrics = {m["name"]: m for m in metrics}
        self.shares = {m["name"]: m.get("share", each) for m in metrics if spends(m)}


# --- statistics ---------------------------------------------------------------------------------


def clip(rate):
    return min(max(rate, EDGE), 1 - EDGE)


def log_sum(terms):
    terms = [(weight, log) for weight, log in terms if weight > 0 and log > -math.inf]
    top = max(log for _, log in terms)
    return top + math.log(sum(weight * math.exp(log - top) for weight, log in terms))


def project(n_c, n_b, theta_c, theta_b, null):
    """The nearest point of the line p_c = r p_b + d: the root of a falling function of p_b."""
    ratio, margin = null
    tiny = 1e-12
    if ratio <= 0:
        return min(max(margin, tiny), 1 - tiny), theta_b
    low = max(tiny, (tiny - margin) / ratio)
    high = min(1 - tiny, (1 - tiny - margin) / ratio)
    for _ in range(200):
        p_b = (low + high) / 2
        p_c = ratio * p_b + margin
        slope = ratio * n_c * (theta_c - p_c) / (p_c * (1 - p_c))
        slope += n_b * (theta_b - p_b) / (p_b * (1 - p_b))
        if slope > 0:
            low = p_b
        else:
            high = p_b
    p_b = (low + high) / 2
    return ratio * p_b + margin, p_b


def log_likelihood(n, e, theta, p):
    return e * math.log(theta / p) + (n - e) * math.log((1 - theta) / (1 - p))


def log_ratio(window, theta_c, theta_b, null):
    (n_c, e_c), (n_b, e_b) = window["c"], window["s"]
    p_c, p_b = project(n_c, n_b, theta_c, theta_b, null)
    return log_likelihood(n_c, e_c, theta_c, p_c) + log_likelihood(n_b, e_b, theta_b, p_b)


class Rate:
    """The stable arm's, smoothed."""

    def __init__(self, hour):
        n, e = hour
        self.a, self.n = (0.5 + e * HOUR_WEIGHS, 1 + n * HOUR_WEIGHS) if n else (0.0, 0.0)

    def value(self):
        return clip(self.a / self.n) if self.n >= 1 else None

    def observe(self, counts, ms):
        n, e = counts
        if n == 0:
            return
        if self.n < 1:
            self.a, self.n = 0.5, 1.0
        keep = max(2 ** (-ms / HALF_LIFE_MS), 1 / self.n)
        self.a, self.n = self.a * keep + e, self.n * keep + n


class Bound:
    """Evidence of one counted ratio."""

    def __init__(self, null, tolerance):
        self.null, self.tolerance = null, tolerance
        self.at, self.rate = None, Rate((0, 0))
        # By alternative, what has started; components that have not, windows since the newest.
        self.harm, self.started, self.waiting, self.windows = [-math.inf] * 7, 0, 0.0, 0
        self.certificate = [0.0] * 4
        self.last, self.sum, self.pairs = {}, 0.0, 0.0
        self.seen = 0

    def open(self, at, hour, is_events, components):
        if self.started == 0:
            self.waiting = float(components)
        if self.started < components:
            self.started, self.windows = self.started + 1, 0
            self.release(1 - LATER)
        if self.rate.value() is None or (not is_events and at != self.at):
            self.rate = Rate(hour)
        if at != self.at:
            # Windows of two bounds are not compared.
            self.last = {}
        self.at, self.certificate = at, [0.0] * 4

    @property
    def phi(self):
        """How much counts vary, as seen so far: less two standard errors, so chance tempers little."""
        pairs = self.pairs + PRIOR_PAIRS
        phi = (self.sum + PRIOR_PAIRS) / pairs - 2 * math.sqrt(2 / pairs)
        return min(max(phi, 1.0), PHI_MAX)

    def release(self, part):
        part = min(part, self.waiting)
        self.waiting -= part
        self.harm = [log_sum([(1, log), (part, 0.0)]) for log in self.harm]

    def judge(self, window, ms, is_whole, is_alone):
        ratio, margin = self.null
        theta = self.rate.value()
        if theta is None or (ratio > 0 and is_alone):
            theta = 0.5 if ratio <= 0 else None
        if theta is not None and window["c"][0] > 0:
            limit = ratio * theta + margin
            for k, excess in enumerate(EXCESS):
                theta_c = clip(limit + excess)
                if theta_c > limit + EDGE:
                    self.harm[k] += log_ratio(window, theta_c, theta, self.null) / self.phi
            self.windows += 1
            self.release(LATER / (self.windows * (self.windows + 1)))
            if self.tolerance is not None and is_whole:
                self.certify(window, theta)
        self.seen += window["c"][0]
        self.rate.observe(window["s"], ms)

    def certify(self, window, theta):
        line = (self.null[0], self.tolerance)
        limit = line[0] * theta + line[1]
        for k, part in enumerate(PARTS):
            theta_c = clip(line[0] * theta + part * line[1])
            if theta_c < limit - EDGE:
                self.certificate[k] += log_ratio(window, theta_c, theta, line) / self.phi

    def disperse(self, name, counts):
        n, e = counts
        if n == 0:
            return
        before, self.last[name] = self.last.get(name), (n, e)
        if before is None:
            return
        m, f = before
        both = (e + f) / (n + m)
        variance = both * (1 - both) * (1 / n + 1 / m)
        if variance > 0:
            self.sum += min((e / n - f / m) ** 2 / variance, PAIR_MAX)
            self.pairs += 1

    def value(self, components):
        if not self.started:
            return 0.0
        running = [(pi / components, log) for pi, log in zip(PRIOR, self.harm)]
        return log_sum(running + [(self.waiting / components, 0.0)])


# --- the rollout --------------------------------------------------------------------------------


class Rollout:
    def __init__(self, first):
        self.plan = Plan(first["state"]["plan"])
        self.components = len(self.plan.steps) + 1
        self.warmup_max = int(first["state"].get("warmupMaxMs", 0))
        self.metrics = {}
        self.share, self.paused = 0.0, False
        self.begin(0)
        self.windows = self.exposures = self.decisions = 0
        self.failed_before = False

    def begin(self, now):
        self.start = self.cursor = now
        self.warming, self.warmup, self.settled = True, 0, False
        self.due = self.came = 0.0
        self.samples, self.judged_ms = [0, 0], 0
        self.since = {"c": [0, 0], "s": [0, 0]}
        self.lasting = 0

    def open(self, opening):
        self.begin(opening["now"])
        self.exposures += 1
        stable = opening.get("stableP99Ms")
        stable = self.plan.interval if stable is None else stable
        longest = max(self.warmup_max, self.plan.interval)
        self.warmup = min(stable, longest) if self.plan.warmup is None else self.plan.warmup
        for name, metric in self.plan.metrics.items():
            kind = counted(metric)
            if kind is None:
                continue
            ats = opening["bounds"].get(name, [])
            hours = opening["baseline"].get(name, [])
            is_events = not ats and name not in ("ttft", "duration", "output-tokens")
            count = max(1, len(ats), len(metric.get("quantiles") or [0]))
            if name == "output-tokens" and not metric.get("quantiles"):
                count = max(count, 2)
            bounds = self.metrics.setdefault(name, [Bound(*kind) for _ in range(count)])
            for i, bound in enumerate(bounds):
                at = ats[i] if i < len(ats) else None
                hour = hours[i] if i < len(hours) else (0, 0)
                bound.open(at, hour, is_events, self.components)

    def window(self, window):
        if window["to"] <= window["from"] or self.share <= 0:
            return
        self.windows += 1
        trouble = (window.get("untold") or {}).get("trouble")
        is_counted = trouble in (None, "partial")
        ms = window["to"] - window["from"]
        if is_counted:
            self.count(window)
        if is_counted and not self.warming:
            self.judge(window, ms, trouble is None)
        if is_counted:
            self.disperse(window)
        self.cursor = window["to"]
        self.lasting += 0 if self.paused else ms
        if self.warming:
            warmed = self.cursor - self.start
            is_settled = self.plan.warmup is not None or self.settled or warmed >= self.warmup_max
            self.warming = not (warmed >= self.warmup and is_settled)

    def count(self, window):
        errors = window["counts"]["errors"][0]
        rejections = window["counts"].get("rejections", [{"c": [0, 0], "s": [0, 0]}])[0]
        for arm in ("c", "s"):
            refused = rejections[arm][1]
            self.since[arm][0] += errors[arm][0] + refused
            self.since[arm][1] += errors[arm][1] + refused
        ended = window["ended"]
        self.due += (ended["c"] + ended["s"]) * self.share / 100
        self.came += ended["c"]
        if self.due >= SETTLED_DUE:
            self.settled = self.came >= SETTLED_PART * self.due
            self.due = self.came = 0.0

    def judge(self, window, ms, is_whole):
        for name, bounds in self.metrics.items():
            for bound, counts in zip(bounds, window["counts"].get(name, [])):
                bound.judge(counts, ms, is_whole, self.share >= 100)
        if is_whole:
            errors = window["counts"]["errors"][0]
            self.samples[0] += errors["c"][0]
            self.samples[1] += errors["s"][0]

    def disperse(self, window):
        routers = window.get("stableByRouter") or []
        for name, bounds in self.metrics.items():
            for bound, counts in zip(bounds, window["counts"].get(name, [])):
                if name == "errors" and routers:
                    for router, of_router in routers:
                        bound.disperse(router, of_router)
                else:
                    bound.disperse("", counts["s"])

    def evidence(self, name):
        bounds = self.metrics[name]
        return log_sum([(1 / len(bounds), bound.value(self.components)) for bound in bounds])

    def total(self):
        """None: a metric that spends is none of the counted ones."""
        if any(name not in self.metrics for name in self.plan.shares):
            return None
        terms = [(share, self.evidence(name)) for name, share in self.plan.shares.items()]
        return log_sum(terms + [(max(0.0, 1 - sum(self.plan.shares.values())), 0.0)])

    # --- what a record says -----------------------------------------------------------------

    def take(self, record):
        events = record["events"]
        for i, kept in enumerate(events):
            event = kept["event"]
            reading = (event.get("tick") or {}).get("reading") if isinstance(event, dict) else None
            if not isinstance(reading, dict):
                continue
            opened = record["transition"] == "t6" and i == len(events) - 1
            if "opening" in reading and opened:
                self.open(reading["opening"])
            elif "window" in reading:
                is_last = i == len(events) - 1 and record["transition"] != "checkpoint"
                total = self.total() if self.metrics else None
                limit = -math.log(self.plan.alpha)
                self.failed_before |= total is not None and total >= limit
                if is_last and record["transition"] == "t9":
                    need(not self.failed_before, f"record {record['seq']}: it had failed before")
                self.window(reading["window"])
        self.check_evidence(record)
        self.check_decision(record)
        self.share = record["after"]["share"]
        to = record["to"]
        self.paused = (to.get("phase") if isinstance(to, dict) else to) == "Paused"

    def check_evidence(self, record):
        if record["transition"] not in ("t7", "t9", "t11", "t17", "t18", "t19"):
            return
        for name in self.metrics:
            said = (record.get("evidence") or {}).get(name)
            if said is None:
                continue
            found = self.evidence(name)
            bounds = self.metrics[name]
            # A bound that one in a hundred passes says nothing against, with few samples.
            if any(bound.seen < 300 for bound in bounds) and name == "request-duration":
                continue
            close = math.isclose(found, said["logE"], rel_tol=1e-6, abs_tol=1e-6)
            need(close, f"record {record['seq']}: ln E of {name} is {found}, not {said['logE']}")

    def check_decision(self, record):
        name, seq = record["transition"], record["seq"]
        by_hand = record["actor"]["type"] != "auto"
        if by_hand or name not in ("t7", "t9", "t11", "t17", "t18", "t19"):
            return
        self.decisions += 1
        total, limit = self.total(), -math.log(self.plan.alpha)
        if name in ("t9", "t19"):
            is_harm = total is None or total >= limit
            need(is_harm or "check" in record["reason"], f"record {seq}: only {total} of {limit}")
            return
        if name == "t11":
            self.check_guard(record)
            return
        need(total is None or total < limit, f"record {seq}: it had failed with {total}")
        if name == "t18":
            need(self.lasting >= self.plan.bake, f"record {seq}: baked {self.lasting} ms")
            return
        place = record["before"]["step"]
        step = self.plan.steps[place]
        need(self.lasting >= step["ms"], f"record {seq}: {self.lasting} of {step['ms']} ms")
        least = min(self.samples)
        need(least >= step["samples"], f"record {seq}: {least} of {step['samples']} samples")
        if step["certificate"]:
            self.check_certificate(seq)

    def check_certificate(self, seq):
        for name, bounds in self.metrics.items():
            of = [bound for bound in bounds if bound.tolerance is not None]
            if not of or self.plan.metrics[name].get("mode") == "observe":
                continue
            logs = [log_sum([(0.25, log) for log in bound.certificate]) for bound in of]
            # Each bound must be proven.
            found = min(logs)
            wanted = -math.log(self.plan.beta)
            need(found >= wanted, f"record {seq}: the certificate of {name}: {found} of {wanted}")

    def check_guard(self, record):
        if record.get("guard") != "fail_fast":
            return
        samples, ratio = self.plan.fast
        (n_c, e_c), (n_b, e_b) = self.since["c"], self.since["s"]
        due = n_b * self.share / (100 - self.share)
        # Arrivals are chance: less by one standard deviation.
        arrived = max(n_c, due - math.sqrt(due))
        need(arrived >= samples, f"record {record['seq']}: only {arrived} arrived")
        need(e_c >= ratio * arrived, f"record {record['seq']}: only {e_c} of {arrived} failed")
        need(e_b <= 0.4 * n_b, f"record {record['seq']}: the stable arm failed too")


def main():
    records = json.load(sys.stdin)
    try:
        need(records, "there are no records")
        check_chain(records)
        need("state" in records[0], "the first record has no first state")
        rollout = Rollout(records[0])
        for record in records:
            rollout.take(record)
    except Differs as why:
        print(f"it does not agree: {why}")
        return 1
    print(
        f"{len(records)} records, {rollout.exposures} exposures, {rollout.windows} windows, "
        f"{rollout.decisions} automatic decisions: all agree"
    )
    return 0


if __name__ == "__main__":
    sys.exit(main())
