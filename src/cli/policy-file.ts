/**
 * Files that say what policies must allow and deny: their form, and their verdict.
 *
 * Owns both. Decides by the rules of the server itself, without one: what holds here holds there.
 * Reads files only through what it is given.
 */
import { wallMs } from '../base/brand.ts'
import { messageOf } from '../base/errors.ts'
import {
  type Access,
  access,
  capabilities,
  nothingUnmet,
  type Resource,
  resources,
} from '../base/who.ts'
import {
  HclError,
  type HclObject,
  type HclValue,
  isObject,
  parseWithPositions,
} from '../hcl/hcl.ts'
import {
  governs,
  loginTarget,
  type Target,
  type TokenFacts,
  testProgram,
} from '../identity/condition/evaluate.ts'
import { compileCondition, isProgram, type Program } from '../identity/condition/program.ts'
import {
  type Authorizer,
  compile,
  type Finding,
  fillTemplate,
  globalRules,
  lintRules,
  nodeIdentity,
  parseRules,
  RulesProblem,
  type Source,
  serviceIdentity,
} from '../identity/rules/mod.ts'

/** One line of the report. */
export interface Note {
  /** Where: `web.hcl:7`. */
  readonly at: string
  readonly kind: 'failed' | 'error' | 'warning'
  readonly text: string
}

export interface Report {
  readonly notes: readonly Note[]
  readonly passed: number
  readonly failed: number
}

/** What stands in the way of reading a file of tests at all. */
class TestFileProblem extends Error {
  override readonly name = 'TestFileProblem'
}

/**
 * Runs a file of tests. `read` gives the text of a file that it names, by its path as written.
 * Throws TestFileProblem where the file says something that is no test.
 */
export async function runPolicyTests(
  path: string,
  text: string,
  read: (path: string) => Promise<string>,
): Promise<Report> {
  return new PolicyTests(path, text, read).run()
}

interface Identity {
  readonly authorizer: Authorizer
  readonly facts: TokenFacts
}

class PolicyTests {
  readonly #path: string
  readonly #root: HclObject
  readonly #lineOf: (object: HclObject, key: string) => number
  readonly #read: (path: string) => Promise<string>
  readonly #notes: Note[] = []
  readonly #sources = new Map<string, Source>()
  readonly #identities = new Map<string, Identity>()
  #passed = 0

  constructor(path: string, text: string, read: (path: string) => Promise<string>) {
    this.#path = path
    this.#read = read
    try {
      const { value, positions } = parseWithPositions(text, { format: 'auto' })
      this.#root = value
      this.#lineOf = (object, key) => positions.get(object)?.get(key)?.line ?? 1
    } catch (error) {
      if (!(error instanceof HclError)) throw error
      throw new TestFileProblem(`${path}: ${error.message}`)
    }
  }

  async run(): Promise<Report> {
    this.#knows(this.#root, ['default_policy', 'enable_key_list_policy', ...BLOCKS])
    for (const [name, body] of this.#named('policy')) await this.#addPolicy(name, body)
    for (const [name, body] of this.#named('identity')) this.#runIdentity(name, body)
    for (const [name, body] of this.#named('condition')) this.#runCondition(name, body)
    const failed = this.#notes.filter(({ kind }) => kind !== 'warning').length
    if (this.#passed + failed === 0) throw this.#problem(this.#root, '', 'it tests nothing')
    return { notes: this.#notes, passed: this.#passed, failed }
  }

  // --- policies

  async #addPolicy(name: string, body: HclObject): Promise<void> {
    this.#knows(body, ['rules', 'file'])
    const file = this.#text(body, 'file')
    const inline = this.#text(body, 'rules')
    if ((file === undefined) === (inline === undefined)) {
      throw this.#problem(body, '', `policy "${name}" needs either rules or a file of them`)
    }
    const rules = inline ?? (await this.#readFile(body, file ?? ''))
    const where = (finding: Finding): string =>
      file === undefined ? `policy "${name}", line ${finding.line}` : `${file}:${finding.line}`
    for (const finding of lintRules(rules)) {
      const at = this.#at(body, file === undefined ? 'rules' : 'file')
      const text = `${where(finding)}: ${finding.text}`
      this.#notes.push({ at, kind: finding.severity, text })
    }
    const parsed = parseRules(rules)
    if (parsed instanceof RulesProblem) return
    this.#sources.set(name, { policyId: file ?? '', policyName: name, rules: parsed })
  }

  async #readFile(body: HclObject, file: string): Promise<string> {
    try {
      return await this.#read(file)
    } catch (error) {
      throw this.#problem(body, 'file', messageOf(error))
    }
  }

  // --- identities

  #runIdentity(name: string, body: HclObject): void {
    const identity = this.#identityOf(name, body)
    this.#identities.set(name, identity)
    for (const expected of ['allow', 'deny'] as const) {
      for (const words of this.#texts(body, expected)) {
        const wanted = this.#accessOf(body, expected, words)
        const verdict = identity.authorizer.explain(wanted)
        if (verdict.allowed === (expected === 'allow')) this.#passed++
        else this.#fail(body, expected, `${name}: ${expected} "${words}": ${whyOf(verdict)}`)
      }
    }
  }

  #identityOf(name: string, body: HclObject): Identity {
    this.#knows(body, [...GRANTS, ...FACTS, 'allow', 'deny'])
    const policies = this.#texts(body, 'policies')
    const sources = [
      ...policies.flatMap(each => this.#policy(body, each)),
      ...this.#texts(body, 'service_identities').map(each =>
        this.#made(body, 'service_identities', serviceIdentity(each)),
      ),
      ...this.#texts(body, 'node_identities').map(each =>
        this.#made(body, 'node_identities', nodeIdentity(each)),
      ),
      ...this.#texts(body, 'templated_policies').map(each => {
        const [template = '', variable] = each.split(/ +/)
        const variables = variable === undefined ? {} : { name: variable }
        return this.#made(body, 'templated_policies', fillTemplate(template, variables))
      }),
    ]
    const options = {
      defaultPolicy: this.#defaultPolicy(),
      keyListPolicy: this.#root.enable_key_list_policy === true,
    }
    const facts: TokenFacts = {
      accessor: name,
      policies,
      roles: this.#texts(body, 'roles'),
      authMethod: this.#text(body, 'auth_method') ?? '',
      metadata: this.#metadata(body),
    }
    return { authorizer: compile(sources, options), facts }
  }

  #policy(body: HclObject, name: string): Source[] {
    const known = this.#sources.get(name)
    if (known !== undefined) return [known]
    const level = BUILT_IN.get(name)
    if (level !== undefined) {
      return [{ policyId: '', policyName: name, rules: globalRules(level) }]
    }
    // Its own rules could not be read, which was told already.
    if (this.#named('policy').some(([each]) => each === name)) return []
    throw this.#problem(body, 'policies', `there is no policy "${name}"`)
  }

  #made(body: HclObject, key: string, made: Source | RulesProblem): Source {
    if (made instanceof RulesProblem) throw this.#problem(body, key, made.text)
    return made
  }

  #defaultPolicy(): 'allow' | 'deny' {
    const given = this.#text(this.#root, 'default_policy') ?? 'deny'
    if (given === 'allow' || given === 'deny') return given
    throw this.#problem(this.#root, 'default_policy', 'default_policy is allow or deny')
  }

  #metadata(body: HclObject): Record<string, string> {
    const given = this.#object(body, 'metadata') ?? {}
    const texts = Object.keys(given).map(name => [name, this.#text(given, name) ?? ''])
    return Object.fromEntries(texts)
  }

  // --- conditions

  #runCondition(name: string, body: HclObject): void {
    this.#knows(body, ['expression', 'operations', ...EXPECTED])
    const expression = this.#text(body, 'expression')
    if (expression === undefined) throw this.#problem(body, '', `condition "${name}" has none`)
    const program = compileCondition(expression)
    if (!isProgram(program)) {
      const { problem, line, column } = program
      const text = `condition "${name}", line ${line}, column ${column}: ${problem}`
      this.#notes.push({ at: this.#at(body, 'expression'), kind: 'error', text })
      return
    }
    const operations = this.#operations(body)
    for (const expected of EXPECTED) {
      for (const [title, request] of this.#named(expected, body)) {
        const target = this.#targetOf(request)
        const isGoverned = operations === undefined || governs({ operations }, target)
        const found = isGoverned ? this.#outcome(program, request, target) : NOT_GOVERNED
        if (found.what === expected) this.#passed++
        else {
          const text = `condition "${name}", "${title}": it ${found.why}, not ${expected}`
          this.#fail(request, '', text)
        }
      }
    }
  }

  #outcome(program: Program, request: HclObject, target: Target): Found {
    const now = wallMs(this.#time(request))
    const body = request.body === undefined ? undefined : plain(request.body)
    const facts = {
      who: NOBODY,
      request: {
        id: '',
        operation: this.#text(request, 'operation') ?? '',
        name: target.name,
        query: '',
        remote: this.#text(request, 'source_ip') ?? '127.0.0.1',
        body,
        bodySizeBytes: body === undefined ? 0 : Buffer.byteLength(JSON.stringify(body)),
        overrides: false,
        recorded: false,
        isRenewal: false,
        ...nothingUnmet,
      },
      targets: [target],
      token: () => this.#tokenOf(request),
    }
    const outcome = testProgram(program, facts, target, now)
    if (outcome.holds) return { what: 'holds', why: 'holds' }
    const why = outcome.fault === undefined ? 'fails' : `fails (${outcome.fault})`
    return { what: 'fails', why }
  }

  #tokenOf(request: HclObject): TokenFacts {
    const name = this.#text(request, 'identity')
    if (name === undefined) return NO_TOKEN
    const known = this.#identities.get(name)
    if (known === undefined) throw this.#problem(request, 'identity', `there is no "${name}"`)
    return known.facts
  }

  #targetOf(request: HclObject): Target {
    this.#knows(request, ['access', 'login', 'identity', 'source_ip', 'time', 'operation', 'body'])
    const [words, method] = [this.#text(request, 'access'), this.#text(request, 'login')]
    if ((words === undefined) === (method === undefined)) {
      throw this.#problem(request, '', 'a case is about an access or a login')
    }
    // An identity that does not exist is a mistake even where the expression does not look at it.
    this.#tokenOf(request)
    return words === undefined
      ? loginTarget(method ?? '')
      : this.#accessOf(request, 'access', words)
  }

  #operations(body: HclObject): Operation[] | undefined {
    if (body.operations === undefined) return undefined
    const list = Array.isArray(body.operations) ? body.operations : [body.operations]
    return list.map(each => {
      if (!isObject(each)) throw this.#problem(body, 'operations', 'an operation is an object')
      this.#knows(each, ['resource', 'name', 'prefix'])
      const resource = this.#text(each, 'resource')
      if (resource === undefined) throw this.#problem(each, '', 'an operation needs a resource')
      return { resource, name: this.#text(each, 'name'), prefix: this.#text(each, 'prefix') }
    })
  }

  #time(request: HclObject): number {
    const given = this.#text(request, 'time')
    if (given === undefined) return 0
    const timeMs = Date.parse(given)
    if (Number.isNaN(timeMs)) throw this.#problem(request, 'time', 'time is none of RFC 3339')
    return timeMs
  }

  // --- words

  /** `write key web/a`: a capability, a resource, and the name where there is one. */
  #accessOf(body: HclObject, key: string, words: string): Access {
    const [, capability = '', resource = '', name = ''] =
      /^(\w+) +(\w+)(?: (.*))?$/s.exec(words) ?? []
    const isKnown = CAPABILITIES.includes(capability) && RESOURCES.includes(resource)
    if (!isKnown) {
      const form = `CAPABILITY RESOURCE NAME, as in "write service web"`
      throw this.#problem(body, key, `"${words}" is no right: ${form}`)
    }
    return access(capability as Access['capability'], resource as Resource, name)
  }

  /** Blocks `KIND "NAME" { … }`, each with its name. */
  #named(kind: string, within: HclObject = this.#root): [string, HclObject][] {
    const value = within[kind]
    if (value === undefined) return []
    const found: [string, HclObject][] = []
    for (const block of Array.isArray(value) ? value : [value]) {
      const entries = isObject(block) ? Object.entries(block) : []
      for (const [name, body] of entries) {
        for (const each of Array.isArray(body) ? body : [body]) {
          if (!isObject(each)) throw this.#problem(within, kind, `it is: ${kind} "NAME" { … }`)
          found.push([name, each])
        }
      }
      if (entries.length === 0) throw this.#problem(within, kind, `it is: ${kind} "NAME" { … }`)
    }
    return found
  }

  #knows(body: HclObject, keys: readonly string[]): void {
    const strange = Object.keys(body).find(key => !keys.includes(key))
    if (strange === undefined) return
    throw this.#problem(body, strange, `"${strange}" is not known here: ${keys.join(', ')}`)
  }

  #text(body: HclObject, key: string): string | undefined {
    const value = Object.hasOwn(body, key) ? body[key] : undefined
    if (value === undefined || typeof value === 'string') return value
    throw this.#problem(body, key, `${key} is a text`)
  }

  #texts(body: HclObject, key: string): string[] {
    const value = Object.hasOwn(body, key) ? body[key] : undefined
    if (value === undefined) return []
    const list = Array.isArray(value) ? value : [value]
    if (list.every(each => typeof each === 'string')) return list
    throw this.#problem(body, key, `${key} is a list of texts`)
  }

  #object(body: HclObject, key: string): HclObject | undefined {
    const value = Object.hasOwn(body, key) ? body[key] : undefined
    if (value === undefined || isObject(value)) return value
    throw this.#problem(body, key, `${key} is an object`)
  }

  #fail(body: HclObject, key: string, text: string): void {
    this.#notes.push({ at: this.#at(body, key), kind: 'failed', text })
  }

  #at(body: HclObject, key: string): string {
    return `${this.#path}:${this.#lineOf(body, key === '' ? (Object.keys(body)[0] ?? '') : key)}`
  }

  #problem(body: HclObject, key: string, text: string): TestFileProblem {
    return new TestFileProblem(`${this.#at(body, key)}: ${text}`)
  }
}

interface Found {
  readonly what: string
  readonly why: string
}

interface Operation {
  readonly resource: string
  readonly name: string | undefined
  readonly prefix: string | undefined
}

/** What decided, and what would have it otherwise. */
function whyOf({ allowed, reason, rule, smallest }: ReturnType<Authorizer['explain']>): string {
  const what = allowed ? 'allowed' : 'denied'
  if (rule === undefined) {
    const way = smallest === undefined ? '' : `; ${smallest} would allow it`
    return reason === 'default' ? `${what} by default, as no rule covers it${way}` : what
  }
  const line = rule.line === 0 ? '' : `, line ${rule.line}`
  const way = smallest === undefined ? '' : `; ${smallest} would allow it`
  return `${what} by ${rule.text} (policy "${rule.policyName}"${line})${way}`
}

/** What HCL gives as JSON would: a block that stands once is an object. */
function plain(value: HclValue): unknown {
  return JSON.parse(JSON.stringify(value))
}

const BLOCKS = ['policy', 'identity', 'condition']
const GRANTS = ['policies', 'service_identities', 'node_identities', 'templated_policies']
const FACTS = ['roles', 'auth_method', 'metadata']
const EXPECTED = ['holds', 'fails', 'ignores']
const NOT_GOVERNED: Found = { what: 'ignores', why: 'ignores that' }
const CAPABILITIES: readonly string[] = capabilities
const RESOURCES: readonly string[] = resources

const BUILT_IN: ReadonlyMap<string, 'read' | 'write'> = new Map([
  ['global-management', 'write'],
  ['builtin/global-read-only', 'read'],
])

const NO_TOKEN: TokenFacts = {
  accessor: 'anonymous',
  policies: [],
  roles: [],
  authMethod: '',
  metadata: {},
}
const NOBODY = { accessor: 'anonymous', rights: '', may: () => false }
