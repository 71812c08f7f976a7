"""The records of a rollout: that they are chained, and the plan that they say they follow.

Each hash is SHA-256 over the record's canonical JSON (RFC 8785) without `hash`, each `prevHash` is
the hash before, each `seq` is one more. The plan is read as rollout.md 3 has it, defaults filled in.
"""

import hashlib
import json
import math
import re

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


TIMES = ("ttft", "duration", "request-duration")
# Of a bound that about one answer in a hundred passes.
RARE = 0.011


class Differs(Exception):
    """Something does not agree."""


def need(holds, why):
    if not holds:
        raise Differs(why)


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


def millis(text, default):
    if not text:
        return default
    units = {"ms": 1, "s": 1000, "m": 60_000, "h": 3_600_000}
    parts = re.findall(r"([0-9.]+)(ms|s|m|h)", text)
    return round(sum(float(n) * units[unit] for n, unit in parts))


class Metric:
    """What is asked of one metric: `kind` is events, beyond, mean, query or literal."""

    def __init__(self, written, interval, threshold):
        self.name, self.share = written["name"], 0.0
        self.mode = written.get("mode") or "enforce"
        limits = written.get("thresholdRange") or {}
        self.least, self.most = limits.get("min"), limits.get("max")
        self.kind = self.kind_of(written)
        self.is_check = self.kind in ("query", "literal")
        self.interval = millis(written.get("interval"), interval)
        # A literal check has no limit of its own: all of a step have the plan's threshold.
        self.failures = written.get("failureLimit", threshold - 1)
        self.ratio_max = written.get("maxRatio", 1.25)
        self.absolute = written["max"] / 100 if "max" in written else None
        tolerance = written.get("tolerance", 2.0 if self.name == "errors" else None)
        self.tolerance = None if tolerance is None else tolerance / 100
        self.null = self.null_of(written) if self.kind in ("events", "beyond") else None
        tails = (0.1, 0.9) if self.name == "output-tokens" else (0.95,)
        self.quantiles = written.get("quantiles") or tails
        self.is_fixed = self.kind == "beyond" and self.most is not None

    def kind_of(self, written):
        if written.get("query"):
            return "query"
        if written.get("judge") == "threshold":
            return "literal"
        if self.name in ("errors", "rejections", "abandoned", "request-success-rate"):
            return "events"
        if self.name in TIMES and (self.most is not None or "maxRatio" not in written):
            return "beyond"
        return "beyond" if self.name == "output-tokens" and "maxRatio" not in written else "mean"

    def null_of(self, written):
        """Ratio and margin of the null."""
        margin = written.get("margin") or {}
        if self.name == "request-success-rate":
            return 0.0, (100.0 - (self.least or 0.0)) / 100
        if self.name in TIMES and self.most is not None:
            return 0.0, margin.get("points", 1.0) / 100
        points, ratio = MARGINS["duration" if self.name == "request-duration" else self.name]
        return margin.get("ratio", ratio), margin.get("points", points) / 100

    def is_rare(self, bound):
        """5.5: a bound that one answer in a hundred passes says nothing below 300 samples."""
        if self.kind != "beyond":
            return False
        if self.is_fixed:
            return self.null[0] <= 0 and self.null[1] <= RARE
        return not RARE <= self.quantiles[bound] <= 1 - RARE

    @property
    def bounds(self):
        if self.kind == "beyond" and not self.is_fixed:
            return len(self.quantiles)
        return 1 if self.kind in ("events", "beyond") else 0


class Plan:
    def __init__(self, document):
        analysis = document.get("analysis") or {}
        self.interval = millis(analysis.get("interval"), 10_000)
        self.alpha = analysis.get("alpha", 0.01)
        self.beta = analysis.get("beta", 0.05)
        self.warmup = millis(analysis["warmup"], 0) if analysis.get("warmup") else None
        self.threshold = analysis.get("threshold", 5)
        self.steps = [
            {
                "weight": step["weight"],
                "ms": millis(step.get("minDuration"), self.interval),
                "samples": step.get("minSamples", 100),
                "certificate": step.get("certificate", False),
            }
            for step in document.get("steps") or self.expanded(analysis)
        ]
        self.bake = millis((document.get("promotion") or {}).get("bake"), 900_000)
        guards = analysis.get("guards") or {}
        fast = guards.get("failFast") or {}
        self.fast = (fast.get("samples", 12), fast.get("percent", 80.0) / 100.0)
        self.breaker = millis(guards.get("breakerOpen"), 10_000)
        self.hooks = {hook["name"]: hook["type"] for hook in analysis.get("webhooks") or []}
        written = analysis.get("metrics") or DEFAULTS
        self.metrics = [Metric(metric, self.interval, self.threshold) for metric in written]
        self.divide(written)

    @staticmethod
    def expanded(analysis):
        by, most = analysis.get("stepWeight", 100), analysis.get("maxWeight", 100)
        weights = analysis.get("stepWeights") or [
            min(by * i, most) for i in range(1, math.ceil(most / by) + 1)
        ]
        return [{"weight": weight} for weight in weights]

    def divide(self, written):
        """Enforced metrics with evidence share alpha; those without a share divide the rest."""
        spend = [
            (metric, text.get("share"))
            for metric, text in zip(self.metrics, written)
            if metric.mode == "enforce" and not metric.is_check
        ]
        given = sum(share for _, share in spend if share is not None)
        without = sum(1 for _, share in spend if share is None)
        for metric, share in spend:
            metric.share = max(0.0, 1.0 - given) / max(1, without) if share is None else share
        self.spent = max(1.0, sum(metric.share for metric in self.metrics))
