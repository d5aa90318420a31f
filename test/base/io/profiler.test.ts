/**
 * The profiler: what it saw, and that its time can be cut short.
 */
import { gunzipSync } from 'node:zlib'
import t from 'tap'
import { systemClock } from '../../../src/base/clock.ts'
import { createProfiler } from '../../../src/base/io/profiler.ts'

t.test('it names what ran, and ends with the signal', async t => {
  const profiler = createProfiler(systemClock)
  const ending = new AbortController()
  const running = profiler.profile(60_000, ending.signal)
  t.equal(profiler.isRunning, true)
  let turns = 0
  const busily = (): number => Array.from({ length: 20_000 }, (_, i) => i % 7).sort()[0]!
  while (turns++ < 200) {
    busily()
    await new Promise(resolve => setImmediate(resolve))
  }
  ending.abort()
  const text = gunzipSync(await running).toString('latin1')
  t.match(text, 'busily')
  t.match(text, 'profiler.test.ts')
  t.equal(profiler.isRunning, false)
})
