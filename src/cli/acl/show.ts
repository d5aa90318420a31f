/**
 * Tokens, policies, roles, auth methods, binding rules and conditions as lines for people.
 *
 * Owns the layout, which is that of Consul's command line: scripts cut it apart by its words.
 */
import { exactJson } from '../json.ts'
import type { Grants, NodeIdentity, ServiceIdentity, TemplatedPolicy } from './given.ts'

/** What every object has that was written. */
export interface Meta {
  readonly Hash?: string | null
  readonly CreateIndex?: number
  readonly ModifyIndex?: number
}

export interface Token extends Meta, Grants {
  readonly AccessorID: string
  readonly SecretID: string
  readonly Description: string
  readonly Local: boolean
  readonly AuthMethod?: string
  readonly CreateTime: string
  readonly ExpirationTime?: string
  readonly Legacy?: boolean
}

export interface Policy extends Meta {
  readonly ID: string
  readonly Name: string
  readonly Description: string
  readonly Datacenters?: readonly string[] | null
  readonly Rules?: string
}

export interface Role extends Meta, Grants {
  readonly ID: string
  readonly Name: string
  readonly Description: string
}

export interface AuthMethod extends Meta {
  readonly Name: string
  readonly Type: string
  readonly DisplayName?: string
  readonly Description: string
  readonly MaxTokenTTL?: string
  readonly TokenLocality?: string
  readonly Config?: Readonly<Record<string, unknown>> | null
}

export interface BindingRule extends Meta {
  readonly ID: string
  readonly Description: string
  readonly AuthMethod: string
  readonly BindType: string
  readonly BindName: string
  readonly BindVars?: { readonly Name?: string } | null
  readonly Selector: string
}

export interface ConditionOperation {
  readonly Resource: string
  readonly Name?: string
  readonly Prefix?: string
}

export interface Condition extends Meta {
  readonly Name: string
  readonly Description: string
  readonly Expression: string
  readonly Level: string
  readonly Operations: readonly ConditionOperation[]
  readonly Enabled: boolean
}

type Row = readonly [string, string | number | boolean | undefined]

/** `Name:   value` lines; what is undefined is left out. */
const rows = (width: number, list: readonly Row[]): string[] =>
  list.flatMap(([name, value]) =>
    value === undefined ? [] : [`${`${name}:`.padEnd(width)}${value}`],
  )

const indent = (lines: readonly string[], by: string): string[] =>
  lines.map(line => (line === '' ? '' : by + line))

const STEP = '   '

function metaRows({ Hash, CreateIndex = 0, ModifyIndex = 0 }: Meta, hasMeta: boolean): Row[] {
  if (!hasMeta) return []
  const hash = Hash ? Buffer.from(Hash, 'base64').toString('hex') : undefined
  return [
    ['Hash', hash],
    ['Create Index', CreateIndex],
    ['Modify Index', ModifyIndex],
  ]
}

/** A time of RFC 3339 as Go prints it. */
function timeText(time: string): string {
  const [, day, clock, fraction = '', zone = 'Z'] =
    /^([\d-]+)T([\d:]+)(\.\d+)?(Z|[+-]\d\d:\d\d)$/.exec(time) ?? []
  if (day === undefined) return time
  const part = fraction.replace(/\.?0+$/, '')
  const offset = zone === 'Z' ? '+0000 UTC' : zone.replace(':', '')
  return `${day} ${clock}${part} ${offset}`
}

const datacentersText = (list: readonly string[] | null | undefined): string =>
  list === null || list === undefined || list.length === 0 ? 'all' : list.join(', ')

const serviceText = ({ ServiceName, Datacenters }: ServiceIdentity): string =>
  `${ServiceName} (Datacenters: ${datacentersText(Datacenters)})`
const nodeText = ({ NodeName, Datacenter }: NodeIdentity): string =>
  `${NodeName} (Datacenter: ${Datacenter})`
const templateLines = ({ TemplateName, TemplateVariables, Datacenters }: TemplatedPolicy) => [
  TemplateName,
  ...(TemplateVariables?.Name ? [`${STEP}Name: ${TemplateVariables.Name}`] : []),
  `${STEP}Datacenters: ${datacentersText(Datacenters)}`,
]

function grantLines(grants: Grants): string[] {
  const links = (list: Grants['Policies']) => (list ?? []).map(({ ID, Name }) => `${ID} - ${Name}`)
  return [
    ...section('Policies', links(grants.Policies)),
    ...section('Roles', links(grants.Roles)),
    ...section('Service Identities', (grants.ServiceIdentities ?? []).map(serviceText)),
    ...section('Node Identities', (grants.NodeIdentities ?? []).map(nodeText)),
    ...section('Templated Policies', (grants.TemplatedPolicies ?? []).flatMap(templateLines)),
  ]
}

const section = (title: string, lines: readonly string[]): string[] =>
  lines.length === 0 ? [] : [`${title}:`, ...indent(lines, STEP)]

/** The rows of a token, without what gives it its rights. */
export function tokenRows(token: Token, hasMeta: boolean): string[] {
  const WIDTH = 18
  return rows(WIDTH, [
    ['AccessorID', token.AccessorID],
    ['SecretID', token.SecretID],
    ['Description', token.Description],
    ['Local', token.Local],
    ['Auth Method', token.AuthMethod || undefined],
    ['Create Time', timeText(token.CreateTime)],
    ['Expiration Time', token.ExpirationTime && timeText(token.ExpirationTime)],
    ['Legacy', token.Legacy],
    ...metaRows(token, hasMeta),
  ])
}

/** A token with the links that give it its rights. */
export const tokenText = (token: Token, hasMeta: boolean): string =>
  [...tokenRows(token, hasMeta), ...grantLines(token)].join('\n')

const WIDTH = 14

/** A policy with its rules. */
export function policyText(policy: Policy, hasMeta: boolean): string {
  const lines = rows(WIDTH, [
    ['ID', policy.ID],
    ['Name', policy.Name],
    ['Description', policy.Description],
    ['Datacenters', (policy.Datacenters ?? []).join(', ')],
    ...metaRows(policy, hasMeta),
  ])
  return [...lines, 'Rules:', policy.Rules ?? ''].join('\n')
}

/** A policy in a list. */
export function policyEntry(policy: Policy, hasMeta: boolean): string {
  const lines = rows(WIDTH, [
    ['ID', policy.ID],
    ['Description', policy.Description],
    ['Datacenters', (policy.Datacenters ?? []).join(', ')],
    ...metaRows(policy, hasMeta),
  ])
  return [`${policy.Name}:`, ...indent(lines, STEP)].join('\n')
}

/** A role with the links that give it its rights. */
export function roleText(role: Role, hasMeta: boolean): string {
  const lines = rows(WIDTH, [
    ['ID', role.ID],
    ['Name', role.Name],
    ['Description', role.Description],
    ...metaRows(role, hasMeta),
  ])
  return [...lines, ...grantLines(role)].join('\n')
}

/** A role in a list. */
export function roleEntry(role: Role, hasMeta: boolean): string {
  const lines = rows(WIDTH, [
    ['ID', role.ID],
    ['Description', role.Description],
    ...metaRows(role, hasMeta),
  ])
  return [`${role.Name}:`, ...indent([...lines, ...grantLines(role)], STEP)].join('\n')
}

/** An auth method with its configuration. */
export function methodText(method: AuthMethod, hasMeta: boolean): string {
  const METHOD_WIDTH = 15
  const ttl = method.MaxTokenTTL
  const lines = rows(METHOD_WIDTH, [
    ['Name', method.Name],
    ['Type', method.Type],
    ['DisplayName', method.DisplayName || undefined],
    ['Description', method.Description],
    ['MaxTokenTTL', ttl === '0s' ? undefined : ttl],
    ['TokenLocality', method.TokenLocality || undefined],
    ...metaRows({ ...method, Hash: null }, hasMeta),
  ])
  return [...lines, 'Config:', exactJson(method.Config ?? {})].join('\n')
}

/** An auth method in a list. */
export function methodEntry(method: AuthMethod, hasMeta: boolean): string {
  const lines = rows(WIDTH, [
    ['Type', method.Type],
    ['DisplayName', method.DisplayName || undefined],
    ['Description', method.Description],
    ...metaRows({ ...method, Hash: null }, hasMeta),
  ])
  return [`${method.Name}:`, ...indent(lines, STEP)].join('\n')
}

function ruleRows(rule: BindingRule, hasMeta: boolean): string[] {
  const { BindVars } = rule
  return [
    ...rows(WIDTH, [
      ['AuthMethod', rule.AuthMethod],
      ['Description', rule.Description],
      ['BindType', rule.BindType],
      ['BindName', rule.BindName],
    ]),
    ...(BindVars?.Name ? ['BindVars:', `${STEP}- Name: ${BindVars.Name}`] : []),
    ...rows(WIDTH, [['Selector', rule.Selector], ...metaRows({ ...rule, Hash: null }, hasMeta)]),
  ]
}

/** A binding rule. */
export const ruleText = (rule: BindingRule, hasMeta: boolean): string =>
  [...rows(WIDTH, [['ID', rule.ID]]), ...ruleRows(rule, hasMeta)].join('\n')

/** A binding rule in a list. */
export const ruleEntry = (rule: BindingRule, hasMeta: boolean): string =>
  [`${rule.ID}:`, ...indent(ruleRows(rule, hasMeta), STEP)].join('\n')

function conditionRows(condition: Condition, hasMeta: boolean): string[] {
  const lines = rows(WIDTH, [
    ['Description', condition.Description],
    ['Level', condition.Level],
    ['Enabled', condition.Enabled],
    ...metaRows(condition, hasMeta),
  ])
  return [
    ...lines,
    ...section('Operations', condition.Operations.map(operationText)),
    ...section('Expression', condition.Expression.trimEnd().split('\n')),
  ]
}

function operationText({ Resource, Name, Prefix }: ConditionOperation): string {
  if (Name !== undefined) return `${Resource} ${JSON.stringify(Name)}`
  return Prefix === undefined ? Resource : `${Resource}, prefix ${JSON.stringify(Prefix)}`
}

/** A condition with its expression. */
export const conditionText = (condition: Condition, hasMeta: boolean): string =>
  [...rows(WIDTH, [['Name', condition.Name]]), ...conditionRows(condition, hasMeta)].join('\n')

/** A condition in a list. */
export const conditionEntry = (condition: Condition, hasMeta: boolean): string =>
  [`${condition.Name}:`, ...indent(conditionRows(condition, hasMeta), STEP)].join('\n')
