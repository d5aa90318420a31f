/**
 * The verbs `acl role create`, `read`, `update`, `delete` and `list`.
 *
 * Owns their flags and texts, which are those of Consul's command line.
 */
import { asking, queryFlags } from '../client.ts'
import { type Flag, fail } from '../command.ts'
import { givenGrants, grantFlags, pathOf, put, roleKind, showFlags } from './given.ts'
import { joinGrants } from './join.ts'
import { type Role, roleEntry, roleText } from './show.ts'
import { deleteVerb, listVerb, named, show } from './verbs.ts'

const nameFlag: Flag = { name: 'name', kind: 'text', doc: 'name of the role' }
const idFlag: Flag = {
  name: 'id',
  kind: 'text',
  doc: 'id of the role, or the unique beginning of one',
}
const descriptionFlag: Flag = { name: 'description', kind: 'text', doc: 'what it is for' }
const rights = grantFlags({ hasRoles: false, append: false })

export const aclRoleCreate = asking('Failed to create new role', {
  usage: '[options] -name=NAME',
  flags: [nameFlag, descriptionFlag, ...rights, ...showFlags, ...queryFlags],
  examples: ['-name=web -policy-name=web', '-name=api -service-identity=api:dc1'],
  async run(call, client) {
    const { flags, io } = call
    const Name = flags.text('name')
    if (!Name) return fail(io, "Missing require '-name' flag")
    const grants = await givenGrants(call, client)
    if (Object.keys(grants).length === 0) return fail(io, NOTHING)
    const Description = flags.text('description') ?? ''
    const body = { Name, Description, ...grants }
    return show(call, await put<Role>(client, roleKind.path, body), roleText)
  },
})

const NOTHING =
  'Cannot create a role without specifying -policy-name, -policy-id, -service-identity, ' +
  '-node-identity, -templated-policy or -templated-policy-file at least once'

export const aclRoleRead = asking('Error reading role', {
  usage: '[options] -id=ID   (or -name=NAME)',
  flags: [idFlag, nameFlag, ...showFlags, ...queryFlags],
  examples: ['-name=web', '-id=b6b85'],
  async run(call, client) {
    const found = await named<Role>(call, client, roleKind)
    if (found === undefined) return fail(call.io, 'Must specify either the -id or -name parameters')
    return show(call, found, roleText)
  },
})

export const aclRoleUpdate = asking('Error updating role', {
  usage: '[options] -id=ID   (or -name=NAME)',
  flags: [
    idFlag,
    { ...nameFlag, doc: 'its name; with -id, its new name' },
    descriptionFlag,
    ...rights,
    { name: 'no-merge', kind: 'switch', doc: 'what is given replaces all that is there' },
    ...showFlags,
    ...queryFlags,
  ],
  examples: ['-name=web -policy-name=more', '-id=b6b85 -no-merge -policy-name=only'],
  async run(call, client) {
    const { flags, io } = call
    const before = await named<Role>(call, client, roleKind)
    if (before === undefined) {
      return fail(io, 'Cannot update a role without specifying the -id or -name parameter')
    }
    const grants = await givenGrants(call, client)
    const { ID, Name, Description } = before
    const isMerging = !flags.isOn('no-merge')
    const made = await put<Role>(client, pathOf(roleKind, ID), {
      ID,
      Name: (flags.text('id') && flags.text('name')) || Name,
      Description: flags.text('description') ?? (isMerging ? Description : ''),
      ...(isMerging ? joinGrants(before, grants) : grants),
    })
    return show(call, made, roleText)
  },
})

export const aclRoleDelete = deleteVerb(roleKind, 'Role', true)

export const aclRoleList = listVerb<Role>(roleKind, roleEntry)
