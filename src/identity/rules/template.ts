/**
 * Rules that nobody writes: those of service identities, node identities and templated policies,
 * and the two policies that every server has.
 *
 * Owns which rules they are, which values they take and how the result is named. Must never put a
 * value into a text: a value is checked, then becomes the name of a rule as it is, and print.ts
 * quotes it. So no value can change what a rule is about. The names, ids and meanings are those of
 * Consul's API (/v1/acl/templated-policies).
 */
import { createHash } from 'node:crypto'
import { severalErrors } from '../../base/errors.ts'
import { goQuote } from '../../base/go-quote.ts'
import { limits } from '../../base/limits.ts'
import type { Source } from './consul.ts'
import { printRules } from './print.ts'
import {
  type Level,
  named,
  namedKinds,
  type Rules,
  RulesProblem,
  scalar,
  scalarKinds,
} from './rule.ts'

/** What a templated policy is made for; `name` for those that need one. */
export interface TemplateVariables {
  readonly name?: string
}

export interface Template {
  /** `builtin/service` */
  readonly name: string
  readonly id: string
  readonly description: string
  /** JSON Schema of the variables; '' for a template that takes none. */
  readonly schema: string
  /** The rules with `{{.Name}}` where the variable goes, for readers. */
  readonly text: string
}

/** A policy that stands for an identity or a templated policy. */
export interface Synthetic extends Source {
  readonly description: string
  /** Its rules as text. */
  readonly text: string
}

interface Blueprint {
  readonly template: Template
  /** What a name must be; undefined when the template takes none. */
  readonly names: Names | undefined
  readonly rulesFor: (name: string) => Rules
}

interface Names {
  readonly pattern: RegExp
  /** The refusal of a quoted name. */
  readonly refusal: (quoted: string) => string
}

const ONLY = "Only lowercase alphanumeric characters, '-' and '_' are allowed"
const IDENTITY = /^[a-z0-9]([a-z0-9_-]*[a-z0-9])?$/

const serviceNames: Names = {
  pattern: IDENTITY,
  refusal: quoted => `service identity ${quoted} has an invalid name. ${ONLY}`,
}

const nodeNames: Names = {
  pattern: IDENTITY,
  // Two blanks: so it is on the wire.
  refusal: quoted => `node identity ${quoted}  has an invalid name. ${ONLY}`,
}

/** Consul takes any text here; what is no name of anything is refused. */
const plainNames: Names = {
  pattern: /^[A-Za-z0-9]([A-Za-z0-9._-]*[A-Za-z0-9])?$/,
  refusal: quoted =>
    `name ${quoted} is invalid. Only alphanumeric characters, '-', '_' and '.' are allowed`,
}

const blueprints: readonly Blueprint[] = [
  blueprint(
    'service',
    3,
    'To register one service and its sidecar proxy, and to discover all services and nodes.',
    serviceNames,
    name => [
      named('exact', 'service', name, 'write'),
      named('exact', 'service', `${name}-sidecar-proxy`, 'write'),
      named('prefix', 'service', '', 'read'),
      named('prefix', 'node', '', 'read'),
    ],
  ),
  blueprint(
    'node',
    4,
    'To register one node, most often that of an agent, and to discover all services.',
    nodeNames,
    name => [named('exact', 'node', name, 'write'), named('prefix', 'service', '', 'read')],
  ),
  blueprint('dns', 5, 'To answer DNS questions about all services.', undefined, () => [
    named('prefix', 'node', '', 'read'),
    named('prefix', 'service', '', 'read'),
    named('prefix', 'query', '', 'read'),
  ]),
  blueprint('nomad-server', 6, 'What a Nomad server needs.', undefined, () => [
    scalar('acl', 'write'),
    named('prefix', 'agent', '', 'read'),
    named('prefix', 'node', '', 'read'),
    named('prefix', 'service', '', 'write'),
  ]),
  blueprint('workload-identity', 7, 'What one workload needs.', plainNames, name => [
    named('exact', 'identity', name, 'write'),
  ]),
  blueprint(
    'api-gateway',
    8,
    'To run one API gateway in front of all services.',
    plainNames,
    name => [
      scalar('mesh', 'read'),
      named('prefix', 'node', '', 'read'),
      named('prefix', 'service', '', 'read'),
      named('exact', 'service', name, 'write'),
    ],
  ),
  blueprint('nomad-client', 9, 'What a Nomad client needs.', undefined, () => [
    named('prefix', 'agent', '', 'read'),
    named('prefix', 'node', '', 'read'),
    named('prefix', 'service', '', 'write'),
    named('prefix', 'key', '', 'read'),
  ]),
]

function blueprint(
  name: string,
  id: number,
  description: string,
  names: Names | undefined,
  rulesFor: Blueprint['rulesFor'],
): Blueprint {
  const properties = { name: { type: 'string', minLength: 1 } }
  const takesName = { type: 'object', properties, required: ['name'] }
  const template = {
    name: `builtin/${name}`,
    id: `00000000-0000-0000-0000-${String(id).padStart(12, '0')}`,
    description,
    schema: names === undefined ? '' : JSON.stringify(takesName),
    text: printRules(rulesFor('{{.Name}}')),
  }
  return { template, names, rulesFor }
}

const byName = new Map(blueprints.map(one => [one.template.name, one]))

/** All templated policies, by name. */
export const templates: ReadonlyMap<string, Template> = new Map(
  blueprints.map(({ template }) => [template.name, template]),
)

/**
 * The policy of the templated policy `name`, or what is wrong with the name or the variables, in
 * Consul's words. Variables that a template does not take mean nothing to it.
 */
export function fillTemplate(
  name: string,
  variables: TemplateVariables | undefined,
): Synthetic | RulesProblem {
  const found = byName.get(name)
  if (found === undefined) {
    return new RulesProblem(`templated policy ${goQuote(name)} does not exist`, 0)
  }
  const { template, names, rulesFor } = found
  if (names === undefined) return synthetic(template, rulesFor(''))
  if (variables === undefined) return invalid('Invalid type. Expected: object, given: null')
  const value = variables.name ?? ''
  if (isName(names.pattern, value)) return synthetic(template, rulesFor(value))
  const isMissing = value === '' && names === plainNames
  return isMissing
    ? invalid('name is required')
    : new RulesProblem(names.refusal(goQuote(value)), 0)
}

/** The policy of the service identity `name`, or what is wrong with the name. */
export function serviceIdentity(name: string): Synthetic | RulesProblem {
  return fillTemplate('builtin/service', { name })
}

/** The policy of the node identity `name`, or what is wrong with the name. */
export function nodeIdentity(name: string): Synthetic | RulesProblem {
  return fillTemplate('builtin/node', { name })
}

/** Whether a service, or a node, of this name may have an identity. */
export function isIdentityName(name: string): boolean {
  return isName(IDENTITY, name)
}

/**
 * The rules of the policy that may do everything (`global-management`, write) and of the one that
 * may see everything (`builtin/global-read-only`, read).
 */
export function globalRules(level: Extract<Level, 'read' | 'write'>): Rules {
  const blocks = namedKinds.map(kind => {
    return named('prefix', kind, '', level, kind === 'service' ? level : undefined)
  })
  return [...scalarKinds.map(kind => scalar(kind, level)), ...blocks]
}

function isName(pattern: RegExp, name: string): boolean {
  return name.length <= limits.identityNameChars && pattern.test(name)
}

/** A violation of the schema, in the form of Consul's validator. */
function invalid(problem: string): RulesProblem {
  return new RulesProblem(severalErrors([problem]), 0)
}

function synthetic({ name }: Template, rules: Rules): Synthetic {
  const text = printRules(rules)
  const policyId = createHash('sha256').update(text).digest('hex')
  return {
    policyId,
    policyName: `synthetic-policy-${policyId}`,
    description: `synthetic policy generated from templated policy: ${name}`,
    rules,
    text,
  }
}
