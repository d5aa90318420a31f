/**
 * What the verbs of all kinds of ACL objects share: printing, and deleting.
 *
 * Owns `-format`, `-meta` and the texts of a deletion.
 */
import { asking, type Client, queryFlags, wantsJson } from '../client.ts'
import { type Call, type Command, fail } from '../command.ts'
import { exactJson } from '../json.ts'
import { type AclKind, pathOf, showFlags, wholeId } from './given.ts'

const JSON_INDENT = 4

/** Prints an object, and gives the exit code of success. */
export function show<T>(call: Call, object: T, text: (object: T, hasMeta: boolean) => string): 0 {
  const { flags, io } = call
  io.print(wantsJson(call) ? exactJson(object, JSON_INDENT) : text(object, flags.isOn('meta')))
  return 0
}

/** Prints a list; entries that stand by themselves are set apart by `gap`. */
export function showList<T>(
  call: Call,
  list: readonly T[],
  text: (object: T, hasMeta: boolean) => string,
  gap = '\n',
): 0 {
  const { flags, io } = call
  if (wantsJson(call)) io.print(exactJson(list, JSON_INDENT))
  else if (list.length > 0) {
    io.print(list.map(each => text(each, flags.isOn('meta'))).join(gap))
  }
  return 0
}

/** A verb that lists all objects of a kind. */
export function listVerb<T>(
  kind: AclKind,
  text: (object: T, hasMeta: boolean) => string,
  gap?: string,
): Command {
  return asking(`Failed to retrieve the ${kind.noun} list`, {
    usage: '[options]',
    flags: [...showFlags, ...queryFlags],
    examples: ['', '-format=json'],
    run: async (call, client) =>
      showList(call, (await client.read<T[] | null>(kind.listPath)) ?? [], text, gap),
  })
}

/** A verb that deletes one object, by id or, where it has one, by name. */
export function deleteVerb(kind: AclKind, title: string, hasName: boolean): Command {
  const { noun } = kind
  return asking(`Error deleting ${noun}`, {
    usage: hasName ? '[options] -id=ID   (or -name=NAME)' : '[options] -id=ID',
    flags: [
      { name: 'id', kind: 'text', doc: `id of the ${noun}, or the unique beginning of one` },
      ...(hasName ? [{ name: 'name', kind: 'text' as const, doc: `name of the ${noun}` }] : []),
      ...queryFlags,
    ],
    examples: ['-id=b6b85', ...(hasName ? ['-name=web'] : [])],
    async run(call, client) {
      const [id, name] = [call.flags.text('id'), call.flags.text('name')]
      if (!id && !name) {
        const what = hasName ? 'the -id or -name parameters' : 'the -id parameter'
        return fail(call.io, `Must specify ${what}`)
      }
      const whole = id
        ? await wholeId(client, kind, id)
        : (await client.read<{ ID: string }>(pathOf({ path: `${kind.path}/name` }, name ?? ''))).ID
      await client.send('DELETE', pathOf(kind, whole))
      call.io.print(`${title} "${whole}" deleted successfully`)
      return 0
    },
  })
}

/** The object of a kind that `-id` or `-name` names; undefined when neither was given. */
export async function named<T>(
  { flags }: Call,
  client: Client,
  kind: AclKind,
): Promise<T | undefined> {
  const [id, name] = [flags.text('id'), flags.text('name')]
  if (id) return client.read<T>(pathOf(kind, await wholeId(client, kind, id)))
  return name ? client.read<T>(pathOf({ path: `${kind.path}/name` }, name)) : undefined
}
