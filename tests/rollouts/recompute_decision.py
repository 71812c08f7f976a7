"""Whether an automatic decision follows from what was counted (rollout.md 4.4, 5.7, 5.9)."""

import math

from recompute_chain import need

# 5.7: a control that fails as often itself proves nothing.
STABLE_MAX = 0.4
OVER = " has passed its limit"
CLOCK = "the leader's clock, or routers"


class Decision:
    """One decision, and the rollout as it was when it fell."""

    def __init__(self, rollout, record):
        self.rollout, self.plan, self.record = rollout, rollout.plan, record
        self.where = f"record {record['seq']}"

    def check(self):
        """Why it cannot be made again; None: it was, and is the same."""
        name = self.record["transition"]
        if name in ("t9", "t19"):
            return self.harm()
        if name == "t11":
            return self.guard()
        if name in ("t7", "t17", "t17a", "t18"):
            return self.raised(name)
        if name == "t5":
            return self.begun()
        return self.paused() if name == "t8" else CLOCK

    def last(self):
        return self.record["events"][-1]["event"]

    def harm(self):
        if self.rollout.is_harm() or self.too_many_failed():
            return None
        if self.rollout.hooks_failed:
            return "failed webhooks"
        if "deadline" in self.record["reason"]:
            return CLOCK
        need(False, f"{self.where}: only {self.rollout.total()} of {-math.log(self.plan.alpha)}")
        return None

    def too_many_failed(self):
        checks = [m for m in self.plan.metrics if m.is_check and m.mode == "enforce"]
        failed = self.rollout.failed
        is_over = any(m.kind == "query" and failed[m.name] > m.failures for m in checks)
        return is_over or sum(failed[m.name] for m in checks) >= self.plan.threshold

    def paused(self):
        """A metric that pauses; every other pause is one of time."""
        reason = self.record["reason"]
        if not reason.endswith(OVER):
            return CLOCK
        name = reason.removesuffix(OVER)
        metric = next(m for m in self.plan.metrics if m.name == name)
        need(metric.mode == "pauseOnly", f"{self.where}: {name} does not pause")
        if metric.is_check:
            failed = self.rollout.failed[name]
            need(failed > metric.failures, f"{self.where}: {name} failed only {failed} times")
            return None
        found, limit = self.rollout.evidence(metric), self.rollout.limit(metric)
        need(found >= limit, f"{self.where}: {name} has only {found} of {limit}")
        return None

    def begun(self):
        checked = self.last()["tick"]["reading"]["checked"]
        is_up = not checked["faults"] and not checked["candidateDown"]
        need(is_up, f"{self.where}: the probe of the candidate was {checked}")
        return None

    def raised(self, name):
        rollout, before = self.rollout, self.record["before"]
        is_fresh = "window" in self.last().get("tick", {}).get("reading", {})
        need(is_fresh, f"{self.where}: no window has passed it")
        need(not rollout.is_harm(), f"{self.where}: it had failed with {rollout.total()}")
        need(not self.too_many_failed(), f"{self.where}: checks had failed: {rollout.failed}")
        need(not (rollout.warming or rollout.applying), f"{self.where}: counts were not judged yet")
        if name == "t18":
            lasted = f"{rollout.lasting} of {self.plan.bake} ms"
            need(rollout.lasting >= self.plan.bake, f"{self.where}: baked {lasted}")
            return None
        step, least = self.plan.steps[before["step"]], min(rollout.samples)
        need(least >= step["samples"], f"{self.where}: {least} of {step['samples']} samples")
        if self.record["from"]["phase"] == "Progressing":
            lasted = f"{rollout.lasting} of {step['ms']} ms"
            need(rollout.lasting >= step["ms"], f"{self.where}: {lasted}")
            if step["certificate"]:
                self.certificate()
        return None

    def certificate(self):
        wanted = -math.log(self.plan.beta)
        for metric in self.plan.metrics:
            if metric.tolerance is None or not metric.bounds or metric.mode == "observe":
                continue
            # Each bound must be proven.
            found = min(bound.certified() for bound in self.rollout.bounds[metric.name])
            what = f"{self.where}: the certificate of {metric.name}"
            need(found >= wanted, f"{what}: {found} of {wanted}")

    def guard(self):
        guard, event = self.record.get("guard"), self.last()
        if guard == "fail_fast":
            self.fail_fast()
        elif guard == "absolute":
            of = [m.name for m in self.plan.metrics if m.mode == "enforce"]
            bounds = [bound for name in of for bound in self.rollout.bounds.get(name, [])]
            is_over = any(bound.passes_absolute(self.rollout.components) for bound in bounds)
            need(is_over, f"{self.where}: no absolute limit was passed")
        elif guard == "breaker_open":
            lasted = f"{self.rollout.breaker} of {self.plan.breaker} ms"
            is_open = (self.rollout.breaker or -1) >= self.plan.breaker
            need(is_open, f"{self.where}: the breaker was open for {lasted}")
        elif guard == "webhook":
            asks = ("yes", "rollback") if self.kind(event) == "rollback" else ("rollback",)
            need(event["hook"]["answer"] in asks, f"{self.where}: nobody asked for it")
        elif guard == "definition_changed":
            need("redefined" in event, f"{self.where}: nothing was redefined")
        else:
            need(False, f"{self.where}: there is no guard {guard}")

    def kind(self, event):
        return self.plan.hooks.get(event.get("hook", {}).get("name"))

    def fail_fast(self):
        samples, ratio = self.plan.fast
        (n_c, e_c), (n_b, e_b) = self.rollout.since["c"], self.rollout.since["s"]
        due = n_b * self.rollout.share / (100 - self.rollout.share)
        # Arrivals are chance: less by one standard deviation.
        arrived = max(n_c, due - math.sqrt(due))
        need(arrived >= samples, f"{self.where}: only {arrived} arrived")
        need(e_c >= ratio * arrived, f"{self.where}: only {e_c} of {arrived} failed")
        need(e_b <= STABLE_MAX * n_b, f"{self.where}: the stable arm failed too")
