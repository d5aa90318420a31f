/**
 * A secret that a person types: asked for on stderr, so that stdout stays clean, and not shown.
 *
 * Owns the terminal's mode while it is typed, and puts it back whatever happens.
 */
import { StringDecoder } from 'node:string_decoder'

const CHARS_MAX = 65_536

/** A line from the terminal, unseen. Rejects where stdin is none, and when it is broken off. */
export function askSecret(prompt: string): Promise<string> {
  const { stdin, stderr } = process
  if (!stdin.isTTY) return Promise.reject(new Error('stdin is no terminal'))
  // Before the prompt: whoever types at once would be seen.
  stdin.setRawMode(true)
  stderr.write(prompt)
  return new Promise((resolve, reject) => {
    const typed = new Typed()
    const decoder = new StringDecoder('utf8')
    const end = (): void => {
      stdin.off('data', take).pause()
      stdin.setRawMode(false)
      stderr.write('\n')
    }
    const take = (bytes: Buffer): void => {
      const state = typed.take(decoder.write(bytes))
      if (state === 'more') return
      end()
      if (state === 'line') resolve(typed.text)
      else reject(new Error('user canceled'))
    }
    stdin.on('data', take).resume()
  })
}

/** What was typed so far, by the keys that a terminal sends. */
export class Typed {
  text = ''

  /** Takes characters; says whether the line is whole, or was broken off. */
  take(chars: string): 'more' | 'line' | 'broken' {
    for (const char of chars) {
      if (char === '\r' || char === '\n') return 'line'
      if (char === '\u0003') return 'broken'
      // End of the text ends the line, as a person who has nothing more to say types it.
      if (char === '\u0004') return 'line'
      if (char === '\u007f' || char === '\b') this.text = [...this.text].slice(0, -1).join('')
      else if (char === '\u0015') this.text = ''
      else if (this.text.length < CHARS_MAX) this.text += char
    }
    return 'more'
  }
}
