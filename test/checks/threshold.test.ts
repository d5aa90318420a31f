import t from 'tap'
import { freshStreak, judge, type Thresholds } from '../../src/checks/threshold.ts'
import type { CheckStatus } from '../../src/store/tables/check.ts'

/** What a check says after each result: p, w, c, or `.` where it goes on as before. */
function play(
  results: string,
  thresholds: Partial<Thresholds>,
  said: CheckStatus = 'critical',
): string {
  const all = {
    successBeforePassing: 0,
    failuresBeforeWarning: 0,
    failuresBeforeCritical: 0,
    ...thresholds,
  }
  const statuses: Record<string, CheckStatus> = { p: 'passing', w: 'warning', c: 'critical' }
  let streak = freshStreak(said)
  return [...results]
    .map(result => {
      const judged = judge(streak, statuses[result]!, all)
      streak = judged.streak
      return judged.status?.[0] ?? '.'
    })
    .join('')
}

t.test('without thresholds every result counts', async t => {
  t.equal(play('pcpwc', {}), 'pcpwc')
})

t.test('successes in a row before passing; a warning is one', async t => {
  t.equal(play('cppp', { successBeforePassing: 3 }), 'c..p')
  t.equal(play('cpwp', { successBeforePassing: 2 }), 'c.wp')
  t.equal(play('ppcpp', { successBeforePassing: 2 }), 'ppc.p')
})

t.test('the first success counts at once, as in Consul: a new service is not held up', async t => {
  t.equal(play('p', { successBeforePassing: 3 }), 'p')
  t.equal(play('w', { successBeforePassing: 3 }), 'w')
})

t.test('a status that was kept over a restart is not lost by one failure', async t => {
  t.equal(play('ccc', { failuresBeforeCritical: 3 }, 'passing'), '..c')
  t.equal(play('ccc', { failuresBeforeCritical: 3 }), 'ccc', 'what is critical tells why')
})

t.test('a result that is what the check says brings its output', async t => {
  const thresholds = { successBeforePassing: 3, failuresBeforeCritical: 3 }
  t.equal(play('pcp', thresholds), 'p.p')
  t.equal(play('cpc', thresholds), 'c.c')
})

t.test('failures in a row before warning and critical', async t => {
  t.equal(play('pcccc', { failuresBeforeCritical: 3 }), 'p..cc')
  t.equal(play('pcccc', { failuresBeforeWarning: 2, failuresBeforeCritical: 4 }), 'p.wwc')
  t.equal(play('cpcpcc', { failuresBeforeCritical: 2 }), 'cp.p.c')
})

t.test('a target that flaps within its thresholds changes nothing', async t => {
  const thresholds = { successBeforePassing: 2, failuresBeforeCritical: 3 }
  t.equal(play(`pp${'cpcp'.repeat(10)}`, thresholds), `pp${'.p.p'.repeat(10)}`)
})
