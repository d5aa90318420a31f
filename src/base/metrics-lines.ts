/**
 * Metrics as the lines that statsd, statsite and DogStatsD take.
 *
 * Owns names and tags: labels are further words of a name, or tags for DogStatsD, which has the
 * host as a tag too. A line stands for all that was counted in the interval that ended: values of
 * a sample come rounded, each once, with the rate that makes the receiver count it so often.
 */
import { Counter, Gauge, type Metrics, Sample, type Series } from './metrics.ts'
import { type MetricNaming, shownSeries } from './metrics-forms.ts'

/** Lines for statsd and statsite. */
export function statsdLines(metrics: Metrics, naming: MetricNaming): string[] {
  const lines: string[] = []
  for (const { series, name } of shownSeries(metrics, naming)) {
    const full = [name, ...Object.values(series.labels)].map(word).join('.')
    for (const value of valuesOf(series)) lines.push(`${full}:${value}`)
  }
  return lines
}

/** Lines for DogStatsD; `tags` are added to each. */
export function dogstatsdLines(
  metrics: Metrics,
  naming: MetricNaming,
  tags: readonly string[],
): string[] {
  const { hostName } = naming
  const always = [...tags, ...(hostName === undefined ? [] : [`host:${word(hostName)}`])]
  const lines: string[] = []
  for (const { series, name } of shownSeries(metrics, naming)) {
    const bare = hostName === undefined ? name : name.replace(`.${hostName}.`, '.')
    const labels = Object.entries(series.labels).map(([key, value]) => `${key}:${word(value)}`)
    const all = [...labels, ...always]
    const tail = all.length === 0 ? '' : `|#${all.join(',')}`
    for (const value of valuesOf(series)) lines.push(`${word(bare)}:${value}${tail}`)
  }
  return lines
}

/** Characters that mean something in a line. */
const word = (text: string): string => text.replaceAll(/[:|@#,\s]/g, '_')

const DIGITS = 6

function* valuesOf(series: Series): Iterable<string> {
  if (series instanceof Gauge) {
    const value = series.read()
    if (Number.isFinite(value)) yield `${value}|g`
  } else if (series instanceof Sample) {
    for (const { value, count } of series.lastValues()) {
      const rate = count === 1 ? '' : `|@${(1 / count).toPrecision(DIGITS)}`
      yield `${value.toPrecision(DIGITS)}|ms${rate}`
    }
  } else if (series instanceof Counter && series.last.count > 0) yield `${series.last.sum}|c`
}
