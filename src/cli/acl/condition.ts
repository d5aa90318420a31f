/**
 * The verbs `acl condition create`, `read`, `update`, `delete` and `list`. These are ours; Consul
 * has none.
 *
 * Owns their flags and texts. What an expression may say, and what can be governed, is for the
 * agent to judge.
 */
import { asking, ClientError, formatFlag, queryFlags } from '../client.ts'
import { type Call, type Flag, type Flags, fail } from '../command.ts'
import { pathOf, put, showFlags, textOf } from './given.ts'
import { type Condition, type ConditionOperation, conditionEntry, conditionText } from './show.ts'
import { listVerb, show } from './verbs.ts'

const conditionKind = {
  noun: 'condition',
  path: '/v1/acl/condition',
  listPath: '/v1/acl/conditions',
  idField: 'ID',
} as const

const nameFlag: Flag = { name: 'name', kind: 'text', doc: 'name of the condition' }
const contentFlags: readonly Flag[] = [
  { name: 'description', kind: 'text', doc: 'what it is for' },
  { name: 'expression', kind: 'text', doc: 'what must hold: the text, @FILE, or - for stdin' },
  {
    name: 'level',
    kind: 'text',
    values: ['advisory', 'soft-mandatory', 'hard-mandatory'],
    doc: 'what becomes of a request for which it does not hold',
  },
  {
    name: 'operation',
    kind: 'list',
    doc: 'what is governed: RESOURCE, or RESOURCE:NAME for one name; may be repeated',
  },
  {
    name: 'operation-prefix',
    kind: 'list',
    doc: 'the same for the names that begin so: RESOURCE:PREFIX; may be repeated',
  },
  { name: 'disabled', kind: 'switch', doc: 'it is kept and governs nothing; =false ends that' },
]

function operationsOf(flags: Flags): ConditionOperation[] {
  const named = flags.list('operation').map(given => {
    const [Resource, Name] = splitOnce(given)
    return Name === undefined ? { Resource } : { Resource, Name }
  })
  const ranges = flags.list('operation-prefix').map(given => {
    const [Resource, Prefix] = splitOnce(given)
    if (Prefix === undefined) throw new ClientError('-operation-prefix must be RESOURCE:PREFIX')
    return { Resource, Prefix }
  })
  return [...named, ...ranges]
}

/** Names may hold colons, resources do not. */
function splitOnce(given: string): [string, string | undefined] {
  const at = given.indexOf(':')
  return at === -1 ? [given, undefined] : [given.slice(0, at), given.slice(at + 1)]
}

async function fieldsOf({ flags, io }: Call): Promise<Partial<Condition>> {
  const [Description, Level] = [flags.text('description'), flags.text('level')]
  const Operations = operationsOf(flags)
  const expression = flags.text('expression')
  return {
    ...(Description === undefined ? {} : { Description }),
    ...(expression === undefined ? {} : { Expression: await textOf(expression, io) }),
    ...(Level === undefined ? {} : { Level }),
    ...(Operations.length === 0 ? {} : { Operations }),
    ...(flags.given.some(({ name }) => name === 'disabled')
      ? { Enabled: !flags.isOn('disabled') }
      : {}),
  }
}

export const aclConditionCreate = asking('Failed to create new condition', {
  usage: '[options] -name=NAME -level=LEVEL -expression=TEXT -operation=RESOURCE:NAME',
  flags: [nameFlag, ...contentFlags, formatFlag, ...queryFlags],
  examples: [
    '-name=ci -level=advisory -operation-prefix=key:builds/ -expression=\'token.auth_method=="ci"\'',
    '-name=by-day -level=soft-mandatory -operation=service:web -expression=@by-day.cel',
  ],
  async run(call, client) {
    const { flags, io } = call
    const Name = flags.text('name')
    for (const each of ['name', 'level', 'expression']) {
      if (!flags.text(each)) return fail(io, `Missing required '-${each}' flag`)
    }
    const fields = await fieldsOf(call)
    if (fields.Operations === undefined) {
      return fail(io, 'Cannot create a condition without -operation or -operation-prefix')
    }
    const path = `${pathOf(conditionKind, Name!)}?cas=0`
    const made = await put<Condition | false>(client, path, { Name, ...fields })
    if (made === false) {
      throw new ClientError(`condition ${JSON.stringify(Name)} exists already; it can be updated`)
    }
    return show(call, made, conditionText)
  },
})

const MEANWHILE = 'somebody else wrote the condition meanwhile: nothing was changed'

export const aclConditionRead = asking('Error reading condition', {
  usage: '[options] -name=NAME',
  flags: [nameFlag, ...showFlags, ...queryFlags],
  examples: ['-name=by-day'],
  async run(call, client) {
    const name = call.flags.text('name')
    if (!name) return fail(call.io, 'Must specify the -name parameter')
    return show(call, await client.read<Condition>(pathOf(conditionKind, name)), conditionText)
  },
})

export const aclConditionUpdate = asking('Error updating condition', {
  usage: '[options] -name=NAME   (what is not given stays as it is)',
  flags: [nameFlag, ...contentFlags, formatFlag, ...queryFlags],
  examples: ['-name=by-day -level=hard-mandatory', '-name=by-day -disabled=false'],
  async run(call, client) {
    const name = call.flags.text('name')
    if (!name) {
      return fail(call.io, 'Cannot update a condition without specifying the -name parameter')
    }
    const path = pathOf(conditionKind, name)
    const fields = await fieldsOf(call)
    const { CreateIndex: _made, ModifyIndex, ...before } = await client.read<Condition>(path)
    // Its name as it was written: the one that is given may differ in case.
    const own = pathOf(conditionKind, before.Name)
    const body = { ...before, ...fields }
    const written = await put<Condition | false>(client, `${own}?cas=${ModifyIndex}`, body)
    if (written === false) throw new ClientError(MEANWHILE)
    return show(call, written, conditionText)
  },
})

export const aclConditionDelete = asking('Error deleting condition', {
  usage: '[options] -name=NAME',
  flags: [nameFlag, ...queryFlags],
  examples: ['-name=by-day'],
  async run({ flags, io }, client) {
    const name = flags.text('name')
    if (!name) return fail(io, 'Must specify the -name parameter')
    await client.send('DELETE', pathOf(conditionKind, name))
    io.print(`Condition "${name}" deleted successfully`)
    return 0
  },
})

export const aclConditionList = listVerb<Condition>(conditionKind, conditionEntry)
