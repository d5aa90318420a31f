/**
 * The forms in which metrics are read: the JSON of Consul's agents, and the text of Prometheus.
 *
 * Owns the full names: prefix, the host in front of gauges as Consul has it, and which names are
 * shown at all. The same series stand behind both forms. Pure but for the gauges that it reads.
 */
import {
  Counter,
  Gauge,
  METRICS_INTERVAL_MS,
  type Metrics,
  Sample,
  type Series,
  type Totals,
} from './metrics.ts'

/** How names are made, and which are shown. */
export interface MetricNaming {
  readonly prefix: string
  /** Stands before the names of gauges; undefined for nothing. */
  readonly hostName: string | undefined
  /** Begins of full names, `+` or `-` before each: the longest that fits decides. */
  readonly prefixFilter: readonly string[]
  /** Whether a name that no filter fits is shown. */
  readonly filterDefault: boolean
}

/** The full name, with dots. */
function fullName({ prefix, hostName }: MetricNaming, series: Series): string {
  const host = series instanceof Gauge && hostName !== undefined ? `${hostName}.` : ''
  return `${prefix === '' ? '' : `${prefix}.`}${host}${series.name}`
}

/** Whether the filter lets a full name through. */
export function isShown({ prefixFilter, filterDefault }: MetricNaming, name: string): boolean {
  let longest = -1
  let shown = filterDefault
  for (const rule of prefixFilter) {
    const begin = rule.slice(1)
    if (!name.startsWith(begin) || begin.length < longest) continue
    longest = begin.length
    shown = rule.startsWith('+')
  }
  return shown
}

/** All series that are shown, with their full names. */
export function* shownSeries(
  metrics: Metrics,
  naming: MetricNaming,
): Iterable<{ readonly series: Series; readonly name: string }> {
  for (const series of metrics.all()) {
    const name = fullName(naming, series)
    if (isShown(naming, name)) yield { series, name }
  }
}

/** One interval as Consul's agents answer it on `/v1/agent/metrics`. */
export function metricsSummary(metrics: Metrics, naming: MetricNaming): Record<string, unknown> {
  const { startedMs, totalsOf } = metrics.shown
  const gauges: unknown[] = []
  const counters: unknown[] = []
  const samples: unknown[] = []
  for (const { series, name } of shownSeries(metrics, naming)) {
    if (series instanceof Gauge) {
      gauges.push({ Name: name, Value: finite(series.read()), Labels: series.labels })
    } else if (series instanceof Counter) {
      const totals = totalsOf(series)
      if (totals.count === 0) continue
      const list = series instanceof Sample ? samples : counters
      list.push({ Name: name, ...spreadOf(totals), Labels: series.labels })
    }
  }
  return {
    Timestamp: `${new Date(startedMs).toISOString().slice(0, 19).replace('T', ' ')} +0000 UTC`,
    Gauges: gauges,
    Points: [],
    Counters: counters,
    Samples: samples,
  }
}

const finite = (value: number): number => (Number.isFinite(value) ? value : 0)

function spreadOf({ count, sum, sumOfSquares, min, max }: Totals): Record<string, number> {
  const variance = count > 1 ? (count * sumOfSquares - sum * sum) / (count * (count - 1)) : 0
  return {
    Count: count,
    Rate: sum / (METRICS_INTERVAL_MS / 1_000),
    Sum: sum,
    Min: min,
    Max: max,
    Mean: sum / count,
    Stddev: Math.sqrt(Math.max(0, variance)),
  }
}

const QUANTILES = [0.5, 0.9, 0.99] as const

/**
 * Prometheus' text, version 0.0.4. Counters and samples are since the start; those of which nothing
 * was heard for the retention time are left out.
 */
export function prometheusText(
  metrics: Metrics,
  naming: MetricNaming,
  retentionMs: number,
): string {
  const lines: string[] = []
  let before = ''
  for (const { series, name: dotted } of shownSeries(metrics, naming)) {
    const name = dotted.replaceAll(/[^a-zA-Z0-9_:]/g, '_')
    const values = linesOf(series, name, metrics.nowMs() - retentionMs)
    if (values.length > 0 && name !== before) {
      before = name
      lines.push(`# HELP ${name} ${escaped(series.help)}`, `# TYPE ${name} ${typeOf(series)}`)
    }
    lines.push(...values)
  }
  return lines.length === 0 ? '' : `${lines.join('\n')}\n`
}

const typeOf = (series: Series): string => {
  if (series instanceof Gauge) return 'gauge'
  return series instanceof Sample ? 'summary' : 'counter'
}

function linesOf(series: Series, name: string, oldestMs: number): string[] {
  const { labels } = series
  if (series instanceof Gauge) return [`${name}${labelText(labels)} ${series.read()}`]
  if (!(series instanceof Counter)) return []
  const isActive = series.now.count > 0 || (series.activeMs ?? Number.NEGATIVE_INFINITY) > oldestMs
  if (!isActive) return []
  const { count, sum } = series.total
  if (!(series instanceof Sample)) return [`${name}${labelText(labels)} ${sum}`]
  return [
    ...QUANTILES.map(part => {
      const withPart = labelText({ ...labels, quantile: String(part) })
      return `${name}${withPart} ${series.quantile(part)}`
    }),
    `${name}_sum${labelText(labels)} ${sum}`,
    `${name}_count${labelText(labels)} ${count}`,
  ]
}

function labelText(labels: Readonly<Record<string, string>>): string {
  const pairs = Object.entries(labels).map(
    ([name, value]) => `${name}="${escaped(value).replaceAll('"', '\\"')}"`,
  )
  return pairs.length === 0 ? '' : `{${pairs.join(',')}}`
}

const escaped = (text: string): string => text.replaceAll('\\', '\\\\').replaceAll('\n', '\\n')
