/**
 * The rules of binding rules: create, change, delete, and their reads.
 *
 * Owns that each belongs to an auth method, and for good; what one may say and what it gives a
 * login is binding.ts's. Semantics and texts follow Consul's API (/v1/acl/binding-rule). Pure.
 */
import { fromText } from '../base/bytes.ts'
import { refuse } from '../base/denied.ts'
import { Refusal } from '../base/errors.ts'
import { limits } from '../base/limits.ts'
import { access, type Who } from '../base/who.ts'
import type { Question } from '../store/ask.ts'
import { type Decision, del, put } from '../store/store.ts'
import type { Cell } from '../store/table.ts'
import {
  authMethods,
  type BindingRuleRow,
  type BindType,
  bindingRules,
} from '../store/tables/acl.ts'
import { fold, scope } from '../store/tables/names.ts'
import type { Reader } from '../store/view.ts'
import { blankOf, readConfig } from './auth-method/method.ts'
import { type BindingRuleFields, refuseBindingRule } from './binding.ts'
import { shown } from './policy.ts'

/** A binding rule as clients write it. */
export interface BindingRuleRequest extends BindingRuleFields {
  readonly description: string
  /** '' for that of the rule that is changed. */
  readonly authMethod: string
}

/** Creates a binding rule under a new id; the answer is the row. */
export function createBindingRule(
  view: Reader,
  who: Who,
  id: string,
  request: BindingRuleRequest,
): Decision<BindingRuleRow> | Refusal {
  const refusal = refuse(who, [access('write', 'acl')])
  if (refusal !== undefined) return refusal
  const most = limits.bindingRulesOfMethod
  const others = view.find(bindingRules, 'method', fold(request.authMethod), most)
  if (others.length >= most) return invalid(`the auth method has ${most} rules already`)
  return putBindingRule(view, id, request)
}

/** Puts another rule in the place of the one with this id. */
export function updateBindingRule(
  view: Reader,
  who: Who,
  id: string,
  request: BindingRuleRequest,
): Decision<BindingRuleRow> | Refusal {
  const refusal = refuse(who, [access('write', 'acl')])
  if (refusal !== undefined) return refusal
  const existing = view.get(bindingRules, fromText(id))?.row
  if (existing === undefined) return new Refusal(500, `cannot find binding rule ${shown(id)}`)
  const { authMethod } = existing
  if (request.authMethod !== '' && fold(request.authMethod) !== fold(authMethod)) {
    return new Refusal(500, 'the AuthMethod field of an Binding Rule is immutable')
  }
  return putBindingRule(view, id, { ...request, authMethod })
}

function putBindingRule(
  view: Reader,
  id: string,
  request: BindingRuleRequest,
): Decision<BindingRuleRow> | Refusal {
  if (request.authMethod === '') return invalid('no AuthMethod is set')
  const method = view.get(authMethods, fold(request.authMethod))?.row
  if (method === undefined) {
    return new Refusal(500, `cannot find auth method with name ${shown(request.authMethod)}`)
  }
  const { description, selector, bindName, bindVars } = request
  const texts = [description, selector, bindName, bindVars.name]
  if (texts.some(text => text.length > limits.aclDescriptionChars)) {
    return invalid('the Description, Selector, BindName or BindVars is too long')
  }
  const config = readConfig(method.type, method.config)
  // It was read when it was written; a newer version may have taken more.
  if (typeof config === 'string') return invalid(`its auth method cannot be used: ${config}`)
  const refusal = refuseBindingRule(request, blankOf(config))
  if (refusal !== undefined) return refusal
  const bindType = request.bindType as BindType
  const rule: BindingRuleRow = { id, ...request, bindType, authMethod: method.name }
  return { txn: [put(bindingRules, fromText(id), rule)], answer: rule }
}

const invalid = (text: string): Refusal => new Refusal(500, `Invalid Binding Rule: ${text}`)

/** Deletes a binding rule; tokens that it gave stay. The answer is whether it was. */
export function deleteBindingRule(view: Reader, who: Who, id: string): Decision<boolean> | Refusal {
  const refusal = refuse(who, [access('write', 'acl')])
  if (refusal !== undefined) return refusal
  if (view.get(bindingRules, fromText(id)) === undefined) return { txn: [], answer: false }
  return { txn: [del(bindingRules, fromText(id))], answer: true }
}

// --- reads

/** All binding rules of an auth method, or all for ''. */
export function allBindingRules(
  who: Who,
  authMethod: string,
): Question<Iterable<Cell<BindingRuleRow>>> | Refusal {
  const key = fold(authMethod)
  return (
    refuse(who, [access('read', 'acl')]) ?? {
      key: `acl-binding-rules ${key}`,
      target: { scope: scope.aclRules },
      newest: view => view.newest(bindingRules),
      read: view =>
        authMethod === '' ? view.entries(bindingRules) : view.scan(bindingRules, 'method', key),
    }
  )
}

/** The binding rule with an id. */
export function bindingRuleById(
  who: Who,
  id: string,
): Question<Cell<BindingRuleRow> | undefined> | Refusal {
  return (
    refuse(who, [access('read', 'acl')]) ?? {
      key: `acl-binding-rule ${fromText(id)}`,
      target: { scope: scope.aclRules },
      newest: view => view.newest(bindingRules),
      read: view => view.get(bindingRules, fromText(id)),
    }
  )
}
