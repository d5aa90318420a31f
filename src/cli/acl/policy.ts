/**
 * The verbs `acl policy create`, `read`, `update`, `delete` and `list`.
 *
 * Owns their flags and texts, which are those of Consul's command line.
 */
import { asking, queryFlags } from '../client.ts'
import { type Flag, fail } from '../command.ts'
import { pathOf, policyKind, put, showFlags, textOf } from './given.ts'
import { type Policy, policyEntry, policyText } from './show.ts'
import { deleteVerb, listVerb, named, show } from './verbs.ts'

const nameFlag: Flag = { name: 'name', kind: 'text', doc: 'name of the policy' }
const idFlag: Flag = {
  name: 'id',
  kind: 'text',
  doc: 'id of the policy, or the unique beginning of one',
}
const contentFlags: readonly Flag[] = [
  { name: 'description', kind: 'text', doc: 'what it is for' },
  { name: 'rules', kind: 'text', doc: 'its rules: the text, @FILE, or - for stdin' },
  {
    name: 'valid-datacenter',
    kind: 'list',
    doc: 'a datacenter that it is for, all unless given; may be repeated',
  },
]

export const aclPolicyCreate = asking('Failed to create new policy', {
  usage: '[options] -name=NAME',
  flags: [nameFlag, ...contentFlags, ...showFlags, ...queryFlags],
  examples: ['-name=web -rules=@web.hcl', '-name=reader -rules=-'],
  async run(call, client) {
    const { flags, io } = call
    const Name = flags.text('name')
    if (!Name) return fail(io, "Missing require '-name' flag")
    const made = await put<Policy>(client, policyKind.path, {
      Name,
      Description: flags.text('description') ?? '',
      Rules: await textOf(flags.text('rules') ?? '', io),
      Datacenters: flags.list('valid-datacenter'),
    })
    return show(call, made, policyText)
  },
})

export const aclPolicyRead = asking('Error reading policy', {
  usage: '[options] -id=ID   (or -name=NAME)',
  flags: [idFlag, nameFlag, ...showFlags, ...queryFlags],
  examples: ['-name=web', '-id=b6b85'],
  async run(call, client) {
    const found = await named<Policy>(call, client, policyKind)
    if (found === undefined) return fail(call.io, 'Must specify either the -id or -name parameters')
    return show(call, found, policyText)
  },
})

export const aclPolicyUpdate = asking('Error updating policy', {
  usage: '[options] -id=ID   (or -name=NAME)',
  flags: [
    idFlag,
    { ...nameFlag, doc: 'its name; with -id, its new name' },
    ...contentFlags,
    { name: 'no-merge', kind: 'switch', doc: 'what is not given becomes empty' },
    ...showFlags,
    ...queryFlags,
  ],
  examples: ['-name=web -rules=@web.hcl', '-id=b6b85 -name=web-2 -description="new name"'],
  async run(call, client) {
    const { flags, io } = call
    const before = await named<Policy>(call, client, policyKind)
    if (before === undefined) {
      return fail(io, 'Cannot update a policy without specifying the -id or -name parameter')
    }
    const { ID, Name } = before
    const kept = flags.isOn('no-merge') ? { ID, Name } : before
    const datacenters = flags.list('valid-datacenter')
    const rules = flags.text('rules')
    const id = flags.text('id')
    const made = await put<Policy>(client, pathOf(policyKind, ID), {
      ...kept,
      ...(id ? { Name: flags.text('name') ?? Name } : {}),
      ...given('Description', flags.text('description')),
      ...given('Rules', rules === undefined ? undefined : await textOf(rules, io)),
      ...(datacenters.length === 0 ? {} : { Datacenters: datacenters }),
    })
    return show(call, made, policyText)
  },
})

const given = (name: string, value: string | undefined): object =>
  value === undefined ? {} : { [name]: value }

export const aclPolicyDelete = deleteVerb(policyKind, 'Policy', true)

export const aclPolicyList = listVerb<Policy>(policyKind, policyEntry)
