/**
 * A token with all that it comes to: every policy with its rules, by where it comes from.
 *
 * Owns that layout. The rules are those that the agent gave; the policy of an identity is known by
 * its id.
 */
import {
  fillTemplate,
  nodeIdentity,
  RulesProblem,
  type Synthetic,
  serviceIdentity,
} from '../../identity/rules/mod.ts'
import type { Grants } from './given.ts'
import { type Policy, type Role, type Token, tokenRows } from './show.ts'

interface Expanded extends Token {
  readonly ExpandedPolicies?: readonly Policy[] | null
  readonly ExpandedRoles?: readonly Role[] | null
  readonly AgentACLDefaultPolicy?: string
  readonly AgentACLDownPolicy?: string
  readonly ResolvedByAgent?: string
}

/** The token, its policies and roles with their rules, and what holds where none decides. */
export function expandedText(token: Expanded, hasMeta: boolean): string {
  const policies = new Map((token.ExpandedPolicies ?? []).map(policy => [policy.ID, policy]))
  const roles = (token.ExpandedRoles ?? []).map(role => [
    `Role Name: ${role.Name}`,
    ...deeper([
      `ID: ${role.ID}`,
      `Description: ${role.Description}`,
      ...grantLines(role, policies),
    ]),
  ])
  return [
    ...tokenRows(token, hasMeta),
    ...grantLines(token, policies),
    ...section('Roles', roles),
    `Default Policy: ${token.AgentACLDefaultPolicy ?? ''}`,
    `Down Policy: ${token.AgentACLDownPolicy ?? ''}`,
    `Resolved By Agent: ${token.ResolvedByAgent ?? ''}`,
  ].join('\n')
}

type Policies = ReadonlyMap<string, Policy>

function grantLines(grants: Grants, policies: Policies): string[] {
  const made = (title: string, one: Synthetic | RulesProblem): string[] => {
    const found = one instanceof RulesProblem ? undefined : policies.get(one.policyId)
    // What is not among the policies does not hold here, as for another datacenter.
    if (found === undefined) return [title, ...deeper(['It gives nothing here'])]
    return [title, ...deeper(policyLines(found))]
  }
  const linked = (grants.Policies ?? []).flatMap(({ ID }) => policies.get(ID ?? '') ?? [])
  return [
    ...section(
      'Policies',
      linked.map(policy => [
        `Policy Name: ${policy.Name}`,
        ...deeper([`ID: ${policy.ID}`, ...policyLines(policy)]),
      ]),
    ),
    ...section(
      'Service Identities',
      (grants.ServiceIdentities ?? []).map(({ ServiceName, Datacenters }) =>
        made(
          `Name: ${ServiceName} (Datacenters: ${Datacenters?.join(', ') || 'all'})`,
          serviceIdentity(ServiceName),
        ),
      ),
    ),
    ...section(
      'Node Identities',
      (grants.NodeIdentities ?? []).map(({ NodeName, Datacenter }) =>
        made(`Name: ${NodeName} (Datacenter: ${Datacenter})`, nodeIdentity(NodeName)),
      ),
    ),
    ...section(
      'Templated Policies',
      (grants.TemplatedPolicies ?? []).map(({ TemplateName, TemplateVariables }) => {
        const name = TemplateVariables?.Name ?? ''
        const title = name === '' ? TemplateName : `${TemplateName} (Name: ${name})`
        return made(title, fillTemplate(TemplateName, { name }))
      }),
    ),
  ]
}

const policyLines = ({ Description, Rules = '' }: Policy): string[] => [
  `Description: ${Description}`,
  'Rules:',
  ...deeper(Rules.replace(/\n+$/, '').split('\n')),
]

const section = (title: string, blocks: readonly (readonly string[])[]): string[] =>
  blocks.length === 0 ? [] : [`${title}:`, ...blocks.flatMap(block => [...deeper(block), ''])]

const deeper = (lines: readonly string[]): string[] =>
  lines.map(line => (line === '' ? '' : `\t${line}`))
