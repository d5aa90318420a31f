/** Times in the words of cron: what they mean, and what is none. */
import t from 'tap'
import { nextTimeMs, readSchedule } from '../../../src/feed/sink/task-schedule.ts'

const next = (text: string, after: string): string => {
  const schedule = readSchedule(text)
  if ('problem' in schedule) return schedule.problem
  const foundMs = nextTimeMs(schedule, Date.parse(after))
  return foundMs === undefined ? 'never' : new Date(foundMs).toISOString().slice(0, 16)
}

/** Thursday. */
const NOW = '2026-11-26T17:30:20Z'

const times: readonly [text: string, next: string][] = [
  ['* * * * *', '2026-11-26T17:31'],
  ['30 17 * * *', '2026-11-27T17:30'],
  ['*/20 * * * *', '2026-11-26T17:40'],
  ['5/20 * * * *', '2026-11-26T17:45'],
  ['0 9-17 * * *', '2026-11-27T09:00'],
  ['0 9-17/4 * * 1-5', '2026-11-27T09:00'],
  ['0 0 * * sun', '2026-11-29T00:00'],
  ['0 0 * * 7', '2026-11-29T00:00'],
  ['0 0 1,15 * *', '2026-12-01T00:00'],
  ['0 0 1 jan *', '2027-01-01T00:00'],
  ['0 0 29 2 *', '2028-02-29T00:00'],
  // Either of both days is enough.
  ['0 0 13 * 5', '2026-11-27T00:00'],
  ['@hourly', '2026-11-26T18:00'],
  ['@weekly', '2026-11-29T00:00'],
]

t.test('the next time', async t => {
  for (const [text, expected] of times) t.equal(next(text, NOW), expected, text)
})

const mistakes: readonly [text: string, problem: RegExp][] = [
  ['', /five fields/],
  ['* * * *', /five fields/],
  ['60 * * * *', /minute must be made of numbers from 0 to 59/],
  ['* 24 * * *', /hour/],
  ['* * 0 * *', /day of the month/],
  ['* * * 13 *', /month/],
  ['* * * * 8', /day of the week/],
  ['5-1 * * * *', /minute/],
  ['*/0 * * * *', /minute/],
  ['a * * * *', /minute/],
  ['-1 * * * *', /minute/],
  ['1-2-3 * * * *', /minute/],
  ['* * 31 2 *', /never comes/],
  ['constructor', /five fields/],
]

t.test('what is no schedule', async t => {
  for (const [text, problem] of mistakes) t.match(next(text, NOW), problem, text)
})
