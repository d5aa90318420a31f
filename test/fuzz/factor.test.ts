/**
 * Generated answers: each kind of factor is answered in one place with something that was damaged,
 * under a seed. Whatever comes, it is a pass only where the answer says so, and a reason is told
 * that holds nothing of it.
 */
import t, { type Test } from 'tap'
import type { Draw } from '../fake/random.ts'
import { untilBudget } from '../run/budget.ts'
import { FakePingid } from '../secrets/mfa/factor/fake/pingid.ts'
import { type Answer, CANARY, type FakeService } from '../secrets/mfa/factor/fake/service.ts'
import { type Trial, trials } from '../secrets/mfa/factor/kinds.ts'
import { casesOf } from './cases.ts'
import { mutated, mutatedJson, stockOf } from './mutate.ts'

const pieces = [
  ...['"stat":"OK"', '"result":"allow"', '"SUCCESS"', '"WAITING"', '"errorId":200', 'null', '[[[['],
  ...['"href":"https://x/"', '"id":"../.."', '{', '}', '"__proto__":{"result":"allow"},', '\ufeff'],
]
const STATUSES = [200, 200, 200, 200, 201, 202, 206, 302, 400, 401, 404, 429, 500, 599]

/** What one case does: which answer is damaged, and how. */
interface Case {
  readonly at: number
  readonly status: number
  readonly bytes: (text: string) => Buffer
}

const caseOf = (draw: Draw, count: number): Case => {
  const isForm = draw.chance(50)
  const seedOfText = { below: draw.below, chance: draw.chance, pick: draw.pick }
  return {
    at: draw.below(count),
    status: draw.pick(STATUSES),
    bytes: text =>
      isForm && /^[{[]./.test(text) && text !== '[]'
        ? Buffer.from(mutatedJson(seedOfText, text))
        : mutated(seedOfText, stockOf([text], pieces)),
  }
}

/** Damages an answer; of a token it is the payload that is damaged, and signed as it should be. */
async function damaged(fake: FakeService, text: string, { bytes }: Case): Promise<Buffer> {
  if (!(fake instanceof FakePingid)) return bytes(text)
  const [, payload = ''] = text.split('.')
  const inner = Buffer.from(payload, 'base64url').toString()
  return Buffer.from(await fake.signText(bytes(inner)))
}

async function held(trial: Trial, drawn: Case): Promise<void> {
  const { fake, ask, secrets, lets } = trial
  fake.asked.length = 0
  fake.wrong.length = 0
  let last: Answer = { text: '' }
  fake.spoil = async (answer, number) => {
    last = answer
    if (number !== drawn.at) return answer
    const bytes = await damaged(fake, answer.text, drawn)
    last = { status: drawn.status, bytes, text: bytes.toString() }
    return last
  }
  const outcome = await ask()
  if (outcome.passed) {
    if (!lets(last)) throw new Error(`it passes by ${last.status} ${last.text}`)
  } else {
    const { reason } = outcome
    const told = [CANARY, ...secrets].find(secret => reason.includes(secret))
    if (told !== undefined) throw new Error(`a reason tells ${told}`)
    if (!/^(Duo|Okta|PingID): [\x20-\x7e]{1,150}$/.test(reason)) throw new Error(reason)
  }
  // An answer that was damaged may lead to questions that make no sense, but not to wrong forms.
  const forms = fake.wrong.filter(text => !/another session/.test(text))
  if (forms.length > 0) throw new Error(`requests: ${forms}`)
}

for (const trialOf of trials) {
  t.test(trialOf.name, async (t: Test) => {
    const trial = await trialOf(t)
    await trial.ask()
    const count = trial.fake.asked.length
    const target = {
      make: (draw: Draw) => caseOf(draw, count),
      run: (drawn: Case) => held(trial, drawn),
      show: ({ at, status }: Case) => `answer ${at} with ${status}`,
    }
    const cases = await untilBudget('answers of factors', 3_000, casesOf(target), 50)
    t.ok(cases > 0)
    t.equal(trial.world.clock.timers, 0)
  })
}
