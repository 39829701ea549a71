/*
 * Checks of Kubernetes manifests, given as JSON files; prints JSON.
 *   node check.mjs validate MANIFEST...       [error...]: by the API's own validators
 *   node check.mjs mutate POLICY POD          the pod after the policy, or null where it does not match
 */
import {readFileSync} from 'node:fs'
import {Environment} from '@marcbachmann/cel-js'

const read = path => JSON.parse(readFileSync(path, 'utf8'))

async function validate (manifest) {
  const models = await import(`kubernetes-models/${manifest.apiVersion}`)
  const Model = models[manifest.kind]
  if (!Model) return [`no ${manifest.kind} in ${manifest.apiVersion}`]
  try {
    new Model(manifest).validate()
    return []
  } catch (error) {
    return [`${manifest.kind} ${manifest.metadata?.name}: ${error.message}`]
  }
}

/* Typed objects become maps that remember their type: cel-js has no literals of them. */
function untyped (expression) {
  return expression.replace(/\b(Object(?:\.\w+)*)\s*\{\s*(\}?)/g,
    (_, type, end) => `{"@type": "${type}"${end ? '}' : ', '}`)
    .replace(/([{,]\s*)(\w+)(?=\s*:)/g, '$1"$2"')
}

function environment () {
  return new Environment({unlistedVariablesAreDyn: true, homogeneousAggregateLiterals: false})
}

/* How lists of the Pod API are merged: entries with the same key are one. */
const LIST_KEYS = {containers: 'name', initContainers: 'name', env: 'name', volumeMounts: 'mountPath', volumes: 'name'}

/* Puts an applied value over what is there, and checks that each object has the type of its place. */
function apply (there, value, place, name) {
  if (Array.isArray(value)) {
    const key = LIST_KEYS[name]
    if (!key) return value
    const merged = [...(there ?? [])]
    for (const item of value) {
      const at = merged.findIndex(other => other[key] === item[key])
      if (at >= 0) merged[at] = apply(merged[at], item, place)
      else merged.push(apply(undefined, item, place))
    }
    return merged
  }
  if (value === null || typeof value !== 'object') return value
  const {'@type': type, ...fields} = value
  if (type !== undefined && type !== place) throw new Error(`${type} stands in the place of ${place}`)
  const merged = {...there}
  for (const [field, inner] of Object.entries(fields)) merged[field] = apply(merged[field], inner, `${place}.${field}`, field)
  return merged
}

function mutate (policy, pod) {
  const values = {object: pod}
  for (const {expression} of policy.spec.matchConditions) {
    if (environment().evaluate(expression, values) !== true) return null
  }
  for (const {patchType, applyConfiguration} of policy.spec.mutations) {
    if (patchType !== 'ApplyConfiguration') throw new Error(`${patchType} is not known here`)
    const change = environment().evaluate(untyped(applyConfiguration.expression), values)
    values.object = apply(values.object, change, 'Object')
  }
  return values.object
}

const [verb, ...files] = process.argv.slice(2)
const manifests = files.map(read)
const result = verb === 'mutate' ? mutate(...manifests) : (await Promise.all(manifests.map(validate))).flat()
console.log(JSON.stringify(result))
