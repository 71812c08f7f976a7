"""The evidence of a rollout, window by window, by the formulas of rollout.md 5.

Counted ratios: 5.1 to 5.4 (e-process, components, certificate), tempered by 5.8. Means: 5.5. Absolute
limits: 5.7. Where the product left the design, docs/adr/0011 says how.
"""

import math

# 5.2
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
# 5.5: the spread over log ratios, the samples of either arm that a mean needs, the least variance.
TAU = 0.2
MEAN_SAMPLES = 300
VARIANCE_MIN = 1e-9
# 5.5: samples below which a bound that one answer in a hundred passes says nothing.
RARE_SAMPLES = 300
# 5.7
ABSOLUTE_ALPHA = 0.001
ABSOLUTE_SAMPLES = 50


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


class Process:
    """5.2, 5.3: evidence against one null, over all exposures."""

    def __init__(self, null):
        self.null = null
        # By alternative, what has started; components that have not, windows since the newest.
        self.logs, self.started, self.waiting, self.windows = [-math.inf] * 7, 0, 0.0, 0

    def open(self, components):
        if self.started == 0:
            self.waiting = float(components)
        if self.started < components:
            self.started, self.windows = self.started + 1, 0
            self.release(1 - LATER)

    def release(self, part):
        part = min(part, self.waiting)
        self.waiting -= part
        self.logs = [log_sum([(1, log), (part, 0.0)]) for log in self.logs]

    def judge(self, window, theta, phi):
        if self.started == 0 or window["c"][0] == 0:
            return
        limit = self.null[0] * theta + self.null[1]
        for k, excess in enumerate(EXCESS):
            theta_c = clip(limit + excess)
            if theta_c > limit + EDGE:
                self.logs[k] += log_ratio(window, theta_c, theta, self.null) / phi
        self.windows += 1
        self.release(LATER / (self.windows * (self.windows + 1)))

    def value(self, components):
        if not self.started:
            return 0.0
        running = [(pi / components, log) for pi, log in zip(PRIOR, self.logs)]
        return log_sum(running + [(self.waiting / components, 0.0)])


class Bound:
    """Evidence of one counted ratio."""

    def __init__(self, metric, place):
        self.null, self.tolerance = metric.null, metric.tolerance
        self.is_events, self.is_rare = metric.kind == "events", metric.is_rare(place)
        self.at, self.rate = None, Rate((0, 0))
        self.harm = Process(self.null)
        self.limit = None if metric.absolute is None else Process((0.0, metric.absolute))
        self.certificate = [0.0] * 4
        self.last, self.sum, self.pairs = {}, 0.0, 0.0
        # Canary samples of the rollout, counts of the exposure.
        self.seen, self.counts = 0, {"c": [0, 0], "s": [0, 0]}

    def open(self, at, hour, components):
        self.harm.open(components)
        if self.limit is not None:
            self.limit.open(components)
        if self.rate.value() is None or (not self.is_events and at != self.at):
            self.rate = Rate(hour)
        if at != self.at:
            # Windows of two bounds are not compared.
            self.last = {}
        self.at, self.certificate = at, [0.0] * 4
        self.counts = {"c": [0, 0], "s": [0, 0]}

    @property
    def phi(self):
        """How much counts vary, as seen so far: less two standard errors, so chance tempers little."""
        pairs = self.pairs + PRIOR_PAIRS
        phi = (self.sum + PRIOR_PAIRS) / pairs - 2 * math.sqrt(2 / pairs)
        return min(max(phi, 1.0), PHI_MAX)

    def judge(self, window, ms, is_whole, is_alone):
        if self.limit is not None:
            self.limit.judge(window, 0.5, self.phi)
        ratio, theta = self.null[0], self.rate.value()
        if theta is None or (ratio > 0 and is_alone):
            # An absolute limit needs no control.
            theta = 0.5 if ratio <= 0 else None
        if theta is not None and window["c"][0] > 0:
            self.harm.judge(window, theta, self.phi)
            if self.tolerance is not None and is_whole:
                self.certify(window, theta)
        for arm, counts in self.counts.items():
            counts[0] += window[arm][0]
            counts[1] += window[arm][1]
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
        value = self.harm.value(components)
        return min(value, 0.0) if self.is_rare and self.seen < RARE_SAMPLES else value

    def certified(self):
        value = log_sum([(0.25, log) for log in self.certificate])
        # What is above no bound that is known is not proven.
        return value if self.is_events or self.at is not None else min(value, 0.0)

    def passes_absolute(self, components):
        if self.limit is None or self.seen < ABSOLUTE_SAMPLES:
            return False
        return self.limit.value(components) >= -math.log(ABSOLUTE_ALPHA)


class Mean:
    """5.5: evidence of one mean, by mSPRT on the log ratio; a component is an exposure."""

    def __init__(self, ratio_max):
        self.ratio_max = ratio_max
        self.ended, self.started = [], 0
        self.arms = {"c": (0, 0.0, 0.0), "s": (0, 0.0, 0.0)}

    def open(self, components):
        # Beyond K the last component goes on.
        if self.started < components:
            if self.started:
                self.ended.append(self.running())
            self.started += 1
            self.arms = {"c": (0, 0.0, 0.0), "s": (0, 0.0, 0.0)}

    def judge(self, window):
        for arm, (n, total, squares) in self.arms.items():
            more = window[arm]
            self.arms[arm] = n + more["n"], total + more["sum"], squares + more["squares"]

    def mean(self, arm):
        n, total, _ = self.arms[arm]
        return total / n if n > 0 and total > 0 else None

    def relative_variance(self, arm):
        """s²/(n·C̄²) with s² of a sample."""
        n, _, squares = self.arms[arm]
        mean = self.mean(arm)
        variance = max(0.0, squares / n - mean * mean) * n / max(1, n - 1)
        return variance / (n * mean * mean)

    def running(self):
        if min(self.arms["c"][0], self.arms["s"][0]) < MEAN_SAMPLES:
            return 0.0
        canary, stable = self.mean("c"), self.mean("s")
        if canary is None or stable is None:
            return 0.0
        x = max(0.0, math.log(canary / stable) - math.log(self.ratio_max))
        v = max(VARIANCE_MIN, self.relative_variance("c") + self.relative_variance("s"))
        wide = v + TAU * TAU
        return 0.5 * math.log(v / wide) + TAU * TAU * x * x / (2 * v * wide)

    def value(self, components):
        if not self.started:
            return 0.0
        logs = [(1 / components, log) for log in self.ended + [self.running()]]
        return log_sum(logs + [((components - self.started) / components, 0.0)])
