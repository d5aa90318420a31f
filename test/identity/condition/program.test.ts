/**
 * Compiled conditions: what can be written, what it gives, and that its cost is bounded whatever
 * is written and whatever a request says.
 */
import fc from 'fast-check'
import t from 'tap'
import { limits } from '../../../src/base/limits.ts'
import {
  compileCondition,
  isProgram,
  type Outcome,
  type Program,
} from '../../../src/identity/condition/program.ts'
import { propertyRuns } from '../../run/budget.ts'
import { run } from './support.ts'

function programOf(text: string): Program {
  const compiled = compileCondition(text)
  if (!isProgram(compiled)) throw new Error(`${text}: ${JSON.stringify(compiled)}`)
  return compiled
}

const bad = (text: string): string => {
  const compiled = compileCondition(text)
  if (isProgram(compiled)) return 'taken'
  return `${compiled.line}:${compiled.column} ${compiled.problem}`
}

t.test('what cannot be written, and where it goes wrong', async t => {
  const noOverload = (name: string, applied: string): string =>
    `found no matching overload for '${name}' applied to '${applied}'`
  const cases: [string, string | RegExp][] = [
    ['', '1:1 it is empty'],
    ['  \n ', '1:1 it is empty'],
    ['request.name ==', /^1:\d+ found/],
    ['true &&\n  request.nme == "a"', "2:10 undefined field 'request.nme'"],
    ['token.secret == "a"', "1:6 undefined field 'token.secret'"],
    ['request == 1', '1:1 say which field of request is meant'],
    ['user == "a"', "1:1 undeclared reference to 'user'"],
    ['constructor == 1', "1:1 undeclared reference to 'constructor'"],
    ['request.constructor == 1', "1:8 undefined field 'request.constructor'"],
    ['exec("x")', "1:1 undeclared reference to 'exec'"],
    ['request.name', '1:8 it must give a bool, not a string'],
    ['request.body_size', '1:8 it must give a bool, not an int'],
    ['request.name == 1', `1:14 ${noOverload('_==_', '(string, int)')}`],
    ['request.name > 1', `1:14 ${noOverload('_>_', '(string, int)')}`],
    ['request.name.startsWith(1)', /found no matching overload for 'startsWith'/],
    ['request.body_size && true', `1:1 ${noOverload('_&&_', '(int, bool)')}`],
    ['request.name.first == "a"', /does not support field selection/],
    ['request.name[0] == "a"', /found no matching overload for '_\[_\]'/],
    ['request.name.all(x, true)', /a string cannot be gone through/],
    ['1 ? true : false', /found no matching overload for '_\?_:_'/],
    ['{[1]: true}[[1]]', /a map cannot have a list as a key/],
    ['google.protobuf.Timestamp{} == request.time', /undeclared reference to/],
    ['request.name.matches("(")', /^1:22 .*missing closing \)/],
    ['request.name.matches("(?=x)")', /^1:22 /],
    ['inCidr(request.source_ip, "10.0.0.0/99")', '1:27 "10.0.0.0/99" is no range of addresses'],
    ['request.time.getHours("Nowhere") == 1', '1:23 there is no time zone "Nowhere"'],
    ['[1].all(a, [1].all(b, [1].all(c, true)))', /more than 2 loops stand in each other/],
    ['x'.repeat(limits.conditionChars + 1), /it is longer than \d+ characters/],
    [`${'('.repeat(limits.conditionBrackets + 1)}true`, /it is nested too deeply/],
    [`1${' + 1'.repeat(limits.conditionDepth + 1)} == 1`, /it is nested too deeply/],
    [`[${'1,'.repeat(limits.conditionNodes)}1].size() == 1`, /it has more than \d+ parts/],
    ['true ? '.repeat(limits.conditionBrackets + 1), /it is nested too deeply/],
    ['@round(1)', /^1:1 /],
    ['optional.of(1) == 1', "1:1 undeclared reference to 'optional'"],
    ['cel.bind(a, 1, a == 1)', "1:1 undeclared reference to 'cel'"],
  ]
  for (const [text, problem] of cases) {
    if (typeof problem === 'string') t.equal(bad(text), problem)
    else t.match(bad(text), problem)
  }
})

const TOO_MANY = 'it takes too many steps'
const BODY = { Service: { Name: 'web', Port: 8080, Tags: ['a', 'b'], Weight: 1.5 }, Empty: null }

t.test('what holds', async t => {
  for (const text of [
    'true',
    'request.body.Service.Port > 1024',
    'request.body.Service.Port % 2 == 0',
    'request.body.Service.Weight > 1',
    'request.body.Service.Tags.exists(x, x == "a")',
    'request.body.Service.Tags.all(x, x in ["a", "b", "c"])',
    'request.body.Service.Tags.map(x, x + "!") == ["a!", "b!"]',
    'request.body.Service.Tags.filter(x, x != "a").size() == 1',
    'request.body.Service.Tags.exists_one(x, x == "b")',
    'request.body.Service.Tags[1] == "b"',
    'request.body["Service"].Name.startsWith("w")',
    'has(request.body.Service) && !has(request.body.Check)',
    'request.body.Empty == null',
    '"Name" in request.body.Service',
    'request.name.matches("^we+b$") && request.name.contains("e") && request.name.endsWith("b")',
    '"WeB".lowerAscii() == request.name',
    'request.operation == "PUT /v1/agent/service/register" && size(request.path) > 3',
    'inCidr(request.source_ip, "10.0.0.0/8") && !inCidr(request.source_ip, "fd00::/8")',
    'request.time.getHours() == 9 && request.time.getHours("Europe/Berlin") == 10',
    'request.time.getDayOfWeek() in [1, 2, 3, 4, 5]',
    'request.time > timestamp("2026-01-01T00:00:00Z")',
    'request.time - duration("24h") < request.time',
    '"ops" in token.policies || token.roles.size() > 5',
    'token.metadata.team == "pay" && "x" in token.metadata.groups',
    'token.auth_method == "ci" && token.accessor != ""',
    'type(request.name) == string',
    'request.body.Nope == 1 || true',
    'request.name == "web" ? request.body_size > 1 : false',
    // A letter beyond the brackets' bound is no bracket where it stands in a text.
    `"${'('.repeat(100)}" != ""`,
  ]) {
    t.same(run(programOf(text), { body: BODY }), { holds: true }, text)
  }
})

t.test('what does not hold: what is false, and what cannot be told', async t => {
  const cases: [string, RegExp | undefined][] = [
    ['false', undefined],
    ['request.body.Nope == 1', /not found/],
    ['request.body.Nope.More', /not found/],
    ['request.body.Service', /gave no bool/],
    ['request.body.Service.Name > 1', /no matching overload/],
    ['1 / (request.body_size - request.body_size) == 1', /divi/i],
    ['int(request.name) == 1', /./],
    ['request.body.Service.Tags[7] == "a"', /./],
    ['inCidr(request.name, "10.0.0.0/8")', /no address/],
    ['inCidr(request.source_ip, request.name)', /no range/],
    ['request.time.getHours(request.name) == 1', /./],
    ['request.name.matches(request.body.Service.Name + "(")', /missing closing/],
    ['token.metadata.nobody == "x"', /not found/],
  ]
  for (const [text, fault] of cases) {
    const outcome = run(programOf(text), { body: BODY })
    t.equal(outcome.holds, false, text)
    if (fault === undefined) t.equal(outcome.fault, undefined, text)
    else t.match(outcome.fault, fault, text)
  }
})

t.test('nothing of an expression can be caught behind the steps', async t => {
  const items = Array.from({ length: 4_000 }, (_, at) => at)
  for (const text of [
    'request.body.all(x, x >= 0) || true',
    'true || request.body.all(x, x >= 0)',
    'request.body.all(x, request.time.getHours("Europe/Berlin") < 30) || true',
    'request.body.exists(x, string(x).matches("(a|b)+c")) || true',
  ]) {
    const isFirst = text.startsWith('true')
    const outcome = run(programOf(text), { body: items })
    t.match(outcome, isFirst ? { holds: true } : { holds: false, fault: TOO_MANY }, text)
  }
})

// --- cost

const LONG = 'x'.repeat(30_000)
const MANY = Array.from({ length: limits.conditionBodyNodes - 10 }, (_, at) => at)

/** The worst that the bounds of an expression let through, each in its own way. */
const WORST = [
  'request.body.many.all(x, request.body.many.all(y, x != y - 10000))',
  'request.body.many.all(x, request.body.many.exists(y, true))',
  'request.body.many.map(x, request.body.many.map(y, [x, y])).size() > 0',
  'request.body.many.all(x, 1 / 0 == 1)',
  'request.body.many.all(x, x.nope)',
  'request.body.many.all(x, request.body.long.contains("xy") || true)',
  'request.body.many.all(x, request.body == request.body)',
  'request.body.many.all(x, x in request.body.many)',
  'request.body.many.filter(x, request.body.long.matches("(x+x+)+y")).size() == 0',
  `["a"]${'.map(x, x + x)'.repeat(40)}.size() == 1`,
  `[1]${'.map(x, [x, x])'.repeat(40)}.size() == 1`,
  `[1]${'.map(x, [x, x])'.repeat(14)} == [1]${'.map(x, [x, x])'.repeat(14)}`,
  `request.body.long${' + request.body.long'.repeat(60)} != ""`,
  `request.body.long.matches("${'(x?'.repeat(20)}${')'.repeat(20)}y")`,
  'request.body.many.all(x, request.time.getHours("Europe/Berlin") < 24)',
  'request.body.many.all(x, inCidr(request.source_ip, "10.0.0.0/8"))',
  'request.body.many.map(x, request.body.long).all(x, x + x != "")',
  `{${Array.from({ length: 90 }, (_, at) => `"${at}": request.body`).join()}} == {}`,
  'request.body.many.all(x, string(x) + string(x) + string(x) != "")',
]

t.test(
  'the worst that can be written, on the largest that can be sent, ends within its steps',
  async t => {
    for (const text of WORST) {
      const compiled = compileCondition(text)
      t.ok(isProgram(compiled), `${text.slice(0, 80)}: it can be written`)
      if (!isProgram(compiled)) continue
      const outcome = run(compiled, { body: { many: MANY.slice(0, -100), long: LONG } }, true)
      t.ok(outcome.steps <= limits.conditionSteps, `${text.slice(0, 80)}: ${outcome.steps} steps`)
      t.equal(outcome.holds && outcome.steps === limits.conditionSteps, false)
    }
  },
)

t.test('work that is done in a loop is counted: twice the rounds, twice the steps', async t => {
  for (const body of ['x >= 0', 'x.nope || true', 'request.body.size() > 0', 'true']) {
    const program = programOf(`request.body.all(x, ${body})`)
    const steps = (length: number): number =>
      run(program, { body: Array.from({ length }, (_, at) => at) }, true).steps
    const [none, some, more] = [steps(0), steps(20), steps(40)] as const
    t.ok(some - none >= 20, `${body}: ${some - none} steps for 20 rounds`)
    t.ok(more - none >= 2 * (some - none), `${body}: ${more - none} for 40`)
  }
})

t.test(
  'generated expressions compile or say why, run within their steps, and never throw',
  async () => {
    const leaf = fc.constantFrom(
      ...['request.name', 'request.body', 'request.body.a', 'request.body_size', 'token.policies'],
      ...[
        'token.metadata',
        '1',
        '"a"',
        'true',
        'null',
        '[]',
        '{}',
        'x',
        'request.time',
        '1.5',
        '2u',
      ],
    )
    const { expression } = fc.letrec<{ expression: string }>(tie => ({
      expression: fc.oneof(
        { maxDepth: 5, withCrossShrink: true },
        leaf,
        fc
          .tuple(
            tie('expression'),
            fc.constantFrom(...['+', '-', '*', '/', '%', '==', '!=', '<', '>=', '&&', '||', 'in']),
            tie('expression'),
          )
          .map(([a, op, b]) => `(${a} ${op} ${b})`),
        fc
          .tuple(
            tie('expression'),
            fc.constantFrom('all', 'exists', 'exists_one', 'map', 'filter'),
            tie('expression'),
          )
          .map(([a, macro, b]) => `${a}.${macro}(x, ${b})`),
        fc.tuple(tie('expression'), tie('expression')).map(([a, b]) => `[${a}, ${b}, ${a}]`),
        fc.tuple(tie('expression'), tie('expression')).map(([a, b]) => `(${a}).matches(${b})`),
        tie('expression').map(a => `size(${a})`),
        tie('expression').map(a => `string(${a})`),
        tie('expression').map(a => `!${a}`),
        tie('expression').map(a => `has(${a}.a)`),
      ),
    }))
    fc.assert(
      fc.property(expression, text => {
        const compiled = compileCondition(text)
        if (!isProgram(compiled)) return
        const outcome: Outcome = run(
          compiled,
          { body: { a: [1, 'b', LONG, MANY.slice(0, 1_000)] } },
          true,
        )
        if (outcome.steps > limits.conditionSteps) throw new Error(`${outcome.steps} steps`)
      }),
      { numRuns: propertyRuns() * 10 },
    )
  },
)
