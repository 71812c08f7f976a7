#!/usr/bin/env python3
"""Makes every automatic decision of a rollout again, from its records alone.

Reads the records of one rollout as JSON (a list, oldest first) and checks
  - the chain (recompute_chain.py, which also reads the plan), unless told --but-the-chain;
  - what every record says that its metrics had to show: counts, means, values, failed checks,
    limits, and the evidence by rollout.md 5 (recompute_evidence.py), to 1e-6;
  - every decision (recompute_decision.py): who advanced had minDuration, minSamples and, if asked
    for, the certificate, and no evidence of harm at 1/alpha; who was rolled back by evidence had it,
    for the first time; checks that failed were too many; a guard had seen what it fires at; a metric
    that paused was over its limit.
It is written from the design with the standard library and shares no line with the product. What
the records do not carry (the leader's clock, a changed plan, older records) is told and counted.
Prints what it did and ends with 0, or says what does not agree and ends with 1.
"""

import collections
import json
import math
import sys

from recompute_chain import Differs, Plan, check_chain, need
from recompute_decision import Decision
from recompute_evidence import Bound, Mean, log_sum

# 5.6: canary attempts due within a block, and their part that must have ended.
SETTLED_DUE = 20.0
SETTLED_PART = 0.8
# 4.6: a tick of the leader counts for at most so many intervals.
INTERVALS_MAX = 2
# 8: a limit's share of alpha is never less.
SHARE_MIN = 1e-9

ENDS = ("Succeeded", "Failed", "Aborted", "Superseded")
DECISIONS = ("t5", "t7", "t9", "t11", "t17", "t17a", "t18", "t19")


class Rollout:
    def __init__(self, first):
        self.plan = Plan(first["state"]["plan"])
        self.components = len(self.plan.steps) + 1
        self.warmup_max = int(first["state"].get("warmupMaxMs", 0))
        self.bounds, self.means = {}, {}
        self.values, self.failed, self.hooks_failed = {}, collections.Counter(), 0
        self.share, self.paused, self.applying, self.breaker = 0.0, False, True, None
        self.exposures = self.windows = self.decisions = self.told = 0
        self.failed_before, self.since_change = False, None
        self.unknown = collections.Counter()
        self.begin(0)

    def begin(self, now):
        self.start = self.cursor = now
        self.warming, self.warmup, self.settled = True, 0, False
        self.due = self.came = 0.0
        self.samples, self.lasting = [0, 0], 0
        self.since = {"c": [0, 0], "s": [0, 0]}

    def open(self, opening):
        """T6: an exposure begins."""
        self.begin(opening["now"])
        self.exposures += 1
        self.applying = False
        self.values = {}
        stable = opening.get("stableP99Ms")
        stable = self.plan.interval if stable is None else stable
        longest = max(self.warmup_max, self.plan.interval)
        self.warmup = min(stable, longest) if self.plan.warmup is None else self.plan.warmup
        for metric in self.plan.metrics:
            if metric.kind == "mean":
                mean = self.means.setdefault(metric.name, Mean(metric.ratio_max))
                mean.open(self.components)
            if not metric.bounds:
                continue
            ats = opening["bounds"].get(metric.name, [])
            hours = opening["baseline"].get(metric.name, [])
            fresh = [Bound(metric, i) for i in range(metric.bounds)]
            for i, bound in enumerate(self.bounds.setdefault(metric.name, fresh)):
                at = ats[i] if i < len(ats) else None
                bound.open(at, hours[i] if i < len(hours) else (0, 0), self.components)

    # --- windows ------------------------------------------------------------------------------

    def tick(self, tick):
        window = tick["reading"].get("window")
        if window is None or self.share <= 0:
            return
        if self.cursor <= window["from"] or window["to"] <= window["from"]:
            self.watch(window["gauges"], tick["elapsedMs"])
        if window["to"] <= window["from"] or window["from"] < self.cursor:
            return
        self.windows += 1
        trouble = (window.get("untold") or {}).get("trouble")
        ms = window["to"] - window["from"]
        is_counted, is_judged = trouble in (None, "partial"), not (self.warming or self.applying)
        if is_counted:
            self.count(window)
        if is_counted and is_judged:
            self.judge(window, ms, trouble is None)
        if is_judged:
            self.check(window, trouble is None)
        if is_counted:
            self.disperse(window)
        self.cursor = window["to"]
        self.lasting += 0 if self.paused else ms
        if self.warming and not self.applying:
            warmed = self.cursor - self.start
            is_settled = self.plan.warmup is not None or self.settled or warmed >= self.warmup_max
            self.warming = not (warmed >= self.warmup and is_settled)

    def watch(self, gauges, elapsed):
        """For how long the breaker has been open on half of the routers, as far as was seen."""
        routers = max(gauges["live"], gauges["fresh"])
        if gauges["breakerOpen"] == 0 or 2 * gauges["breakerOpen"] < routers:
            self.breaker = None
        elif self.breaker is None:
            self.breaker = 0
        else:
            self.breaker += min(elapsed, INTERVALS_MAX * self.plan.interval)

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
        for name, bounds in self.bounds.items():
            for bound, counts in zip(bounds, window["counts"].get(name, [])):
                bound.judge(counts, ms, is_whole, self.share >= 100)
        for name, mean in self.means.items():
            arms = (window.get("means") or {}).get(name)
            if arms and self.share < 100:
                mean.judge(arms)
        if is_whole:
            errors = window["counts"]["errors"][0]
            self.samples[0] += errors["c"][0]
            self.samples[1] += errors["s"][0]

    def check(self, window, is_whole):
        """Queries that were due, and Flagger's point estimates."""
        for metric in self.plan.metrics:
            least, most = metric.least, metric.most
            if metric.kind == "query" and metric.name in (window.get("queries") or {}):
                answer = window["queries"][metric.name]
                value = answer.get("value") if isinstance(answer, dict) else None
            elif metric.kind == "literal" and is_whole:
                n, e = (window["counts"].get(metric.name) or [{"c": (0, 0)}])[0]["c"]
                if metric.name == "request-success-rate":
                    value = 100 - 100 * e / n if n else None
                else:
                    value, least, most = (100 * e / n if n else None), None, 1.0
            else:
                continue
            is_number = value is not None and math.isfinite(value)
            self.values[metric.name] = value if is_number else None
            is_out = is_number and (
                (least is not None and value < least) or (most is not None and value > most)
            )
            if is_out and metric.mode != "observe":
                self.failed[metric.name] += 1

    def disperse(self, window):
        routers = window.get("stableByRouter") or []
        for name, bounds in self.bounds.items():
            for bound, counts in zip(bounds, window["counts"].get(name, [])):
                if name in ("errors", "request-success-rate") and routers:
                    for router, of_router in routers:
                        bound.disperse(router, of_router)
                else:
                    bound.disperse("", counts["s"])

    # --- what it comes to ---------------------------------------------------------------------

    def evidence(self, metric):
        if metric.name in self.means:
            return self.means[metric.name].value(self.components)
        bounds = self.bounds.get(metric.name)
        if not bounds:
            return 0.0
        return log_sum([(1 / len(bounds), bound.value(self.components)) for bound in bounds])

    def limit(self, metric):
        share = metric.share / self.plan.spent if metric.mode == "enforce" else 1.0
        return -math.log(self.plan.alpha * max(share, SHARE_MIN))

    def total(self):
        spend = [metric for metric in self.plan.metrics if metric.share > 0]
        terms = [(metric.share / self.plan.spent, self.evidence(metric)) for metric in spend]
        rest = max(0.0, 1 - sum(share for share, _ in terms))
        return log_sum(terms + [(rest, 0.0)])

    def is_harm(self):
        return self.exposures > 0 and self.total() >= -math.log(self.plan.alpha)

    def shown(self, metric):
        """What a record must say of a metric: one of these, if several bounds say as much."""
        if metric.is_check:
            value = self.values.get(metric.name)
            told = {} if value is None else {"value": {"canary": value}}
            return [{**told, "failed": self.failed[metric.name]}]
        told = {"logE": self.evidence(metric), "limit": self.limit(metric)}
        if metric.name in self.means:
            mean, arms = self.means[metric.name], (("canary", "c"), ("stable", "s"))
            told["n"] = {word: mean.arms[arm][0] for word, arm in arms}
            means = {word: mean.mean(arm) for word, arm in arms if mean.mean(arm) is not None}
            return [{**told, "mean": means} if means else told]
        bounds = self.bounds.get(metric.name)
        if not bounds:
            return [told]
        values = [bound.harm.value(self.components) for bound in bounds]
        most = [b.counts for b, v in zip(bounds, values) if v >= max(values) - 1e-9]
        counts = [
            {key: {"canary": of["c"][i], "stable": of["s"][i]} for i, key in enumerate("ne")}
            for of in most
        ]
        return [{**told, **of} for of in counts]

    # --- what a record says ---------------------------------------------------------------------

    def take(self, record):
        events = record["events"]
        for i, kept in enumerate(events):
            is_last = i == len(events) - 1 and record["transition"] != "checkpoint"
            self.event(kept["event"], record, is_last)
        self.check_decision(record)
        self.after(record)
        self.check_evidence(record)

    def event(self, event, record, is_last):
        if "replanned" in event:
            self.since_change = f"record {record['seq']}: the plan is another one since"
        hook = event.get("hook")
        if hook and self.plan.hooks.get(hook["name"]) in ("rollout", "pre-rollout"):
            self.hooks_failed += hook["answer"] in ("no", "unanswered")
        tick = event.get("tick")
        if not tick or not isinstance(tick["reading"], dict):
            return
        if "opening" in tick["reading"]:
            if is_last and record["transition"] == "t6":
                self.open(tick["reading"]["opening"])
            return
        self.failed_before |= self.is_harm() and not self.paused
        if is_last and record["transition"] == "t9" and not self.since_change:
            need(not self.failed_before, f"record {record['seq']}: it had failed before")
        self.tick(tick)

    def after(self, record):
        """Another share is another exposure, unless it is the end."""
        share, to = record["after"]["share"], record["to"]
        is_anew = record["transition"] == "t8" and record["decision"] == "hold"
        is_other = share != self.share and to["phase"] not in ENDS
        if is_other or to.get("sub") == "Applying" or is_anew:
            self.applying = True
            self.failed.clear()
            self.hooks_failed = 0
        self.share, self.paused = share, to["phase"] == "Paused"

    def skip(self, why, n=1):
        self.unknown[why] += n

    def check_evidence(self, record):
        stored = record.get("evidence") or {}
        if self.since_change or not record.get("version"):
            why = self.since_change or "evidence that an older program wrote"
            return self.skip(why, len(stored))
        names = [metric.name for metric in self.plan.metrics]
        need(sorted(stored) == sorted(names), f"record {record['seq']}: evidence of {list(stored)}")
        for metric in self.plan.metrics:
            said, found = stored[metric.name], self.shown(metric)
            is_same = any(agrees(said, one) for one in found)
            where = f"record {record['seq']}: the evidence of {metric.name}"
            need(is_same, f"{where} is {found[0]}, not {said}")
            self.told += 1
        return None

    def check_decision(self, record):
        name = record["transition"]
        if record["actor"]["type"] != "auto":
            return None
        if name not in DECISIONS and record["decision"] == "hold":
            return None
        if self.since_change:
            return self.skip(self.since_change)
        why = Decision(self, record).check()
        if why:
            return self.skip(f"{name}: {why}")
        self.decisions += 1
        return None


def agrees(said, found):
    """Counts exactly, numbers to 1e-6; the same members."""
    if isinstance(found, dict):
        return (
            isinstance(said, dict)
            and said.keys() == found.keys()
            and all(agrees(said[name], found[name]) for name in found)
        )
    if isinstance(found, int):
        return said == found
    return math.isclose(said, found, rel_tol=1e-6, abs_tol=1e-9)


def main():
    records = json.load(sys.stdin)
    try:
        need(records, "there are no records")
        if "--but-the-chain" not in sys.argv[1:]:
            check_chain(records)
        need("state" in records[0], "the first record has no first state")
        rollout = Rollout(records[0])
        for record in records:
            rollout.take(record)
    except Differs as why:
        print(f"it does not agree: {why}")
        return 1
    print(
        f"{len(records)} records, {rollout.exposures} exposures, {rollout.windows} windows: "
        f"{rollout.decisions} decisions and what metrics showed {rollout.told} times agree; "
        f"not recomputed: {sum(rollout.unknown.values())}"
    )
    for why, n in sorted(rollout.unknown.items()):
        print(f"  {n} not recomputed: {why}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
