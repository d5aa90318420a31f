/**
 * Conditions: any text is one or is refused with its place, and what is one ends within its steps.
 * Tokens: any text is refused.
 */
import t from 'tap'
import { limits } from '../../src/base/limits.ts'
import { readToken } from '../../src/identity/auth-method/jws.ts'
import { compileCondition, isProgram } from '../../src/identity/condition/program.ts'
import { good, tokenOf } from '../identity/auth-method/tokens.ts'
import { run } from '../identity/condition/support.ts'
import { untilBudget } from '../run/budget.ts'
import { casesOf } from './cases.ts'
import { mutated, stockOf } from './mutate.ts'

const expressions = [
  'request.name == "web" && request.body.Port > 1024',
  'request.body.list.all(x, x in token.policies) || !has(request.body.a.b)',
  'request.body.list.map(x, x + 1).filter(y, y > 2).exists_one(z, z == 3)',
  'request.time.getHours("Europe/Berlin") < 18 ? inCidr(request.source_ip, "10.0.0.0/8") : false',
  'request.name.matches("^(a|b)+$") && size(request.body) * 2 - 1 >= 3',
  '{"a": [1, 2.5, 3u, b"x", null, true]}["a"][0] == 1 && type(1) == int',
  'timestamp("2026-01-01T00:00:00Z") + duration("1h") > request.time',
]
const tokens = ['(', ')', '[', ']', '{', '}', '?', ':', '&&', '||', '!', '-', '.', ',', '==', 'in']
const words = [
  'request.',
  'token.',
  'body',
  '.all(x, ',
  '.map(x, ',
  '"',
  "'",
  '\\',
  '/*',
  '//',
  'x',
]
const stock = stockOf(expressions, [...tokens, ...words])
const body = { Port: 80, list: [1, 2, 3, 'a'], a: { b: null } }

t.test('any text as a condition', async t => {
  const target = {
    make: (draw: Parameters<typeof mutated>[0]) => mutated(draw, stock).toString(),
    run(text: string) {
      const compiled = compileCondition(text)
      if (isProgram(compiled)) {
        const outcome = run(compiled, { body }, true)
        if (outcome.steps > limits.conditionSteps) throw new Error(`${outcome.steps} steps`)
        return
      }
      const { line, column, problem } = compiled
      if (!(line >= 1 && column >= 1 && problem !== '')) throw new Error('no place')
    },
    show: JSON.stringify,
  }
  t.ok((await untilBudget('conditions', 100_000, casesOf(target))) > 0)
})

const tokenStock = stockOf(
  [tokenOf(good), tokenOf('{"a":{"b":[1,"x\\u0041"]},"exp":1}')],
  ['.', '=', '-'],
)

t.test('any text as a token', async t => {
  const target = {
    make: (draw: Parameters<typeof mutated>[0]) => mutated(draw, tokenStock).toString(),
    run(text: string) {
      const read = readToken(text)
      if (typeof read === 'string' && read === '') throw new Error('refused without words')
    },
    show: JSON.stringify,
  }
  t.ok((await untilBudget('tokens', 300_000, casesOf(target))) > 0)
})
