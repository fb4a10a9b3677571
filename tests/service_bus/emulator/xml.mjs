// Copyright the escqrs authors. Distributed under the Boost Software License, Version 1.0.

const namedEntities = { lt: "<", gt: ">", amp: "&", quot: '"', apos: "'" };
const entityNames = Object.fromEntries(Object.entries(namedEntities).map(([name, char]) => [char, name]));

/** Text with the characters that mean something to XML replaced. */
export function escapeXml(text) {
    return String(text).replace(/[<>&"']/g, (char) => `&${entityNames[char]};`);
}

function unescapeXml(text) {
    return text.replace(/&(?:#(\d+)|#x([0-9a-fA-F]+)|(\w+));/g, (whole, decimal, hex, name) => {
        if (name) {
            if (!(name in namedEntities)) {
                throw new SyntaxError(`unknown entity ${whole}`);
            }
            return namedEntities[name];
        }
        return String.fromCodePoint(decimal ? Number(decimal) : Number.parseInt(hex, 16));
    });
}

const token = /<\?[^]*?\?>|<!--[^]*?-->|<!\[CDATA\[([^]*?)\]\]>|<(\/?)([\w:.-]+)((?:\s+[\w:.-]+\s*=\s*(?:"[^"<]*"|'[^'<]*'))*)\s*(\/?)>|([^<]+)/y;

/**
 * Parses a document into `{name, namespace, children, text, type}`; names are without their prefix. The type is that of
 * XML Schema's instances, if an attribute tells one.
 *
 * Reads what Atom entries need: elements, namespaces, text and CDATA. Document types are refused.
 * @throws {SyntaxError} if the text is not well formed
 */
export function parseXml(text) {
    const root = { name: "", namespace: "", children: [], text: "" };
    const open = [{ element: root, scope: { "": "" } }];
    token.lastIndex = 0;
    while (token.lastIndex < text.length) {
        const at = token.lastIndex;
        const match = token.exec(text);
        if (!match) {
            throw new SyntaxError(`unexpected "${text.slice(at, at + 20)}" at ${at}`);
        }
        const [, characters, slash, tag, attributes, selfClosing, plain] = match;
        const top = open[open.length - 1];
        if (characters !== undefined || plain !== undefined) {
            top.element.text += characters ?? unescapeXml(plain);
        } else if (slash) {
            if (top.tag !== tag) {
                throw new SyntaxError(`</${tag}> where ${top.tag ? `</${top.tag}>` : "nothing"} is open`);
            }
            open.pop();
        } else if (tag) {
            const scope = { ...top.scope, ...declaredNamespaces(attributes) };
            const [prefix, name] = tag.includes(":") ? tag.split(":") : ["", tag];
            if (!(prefix in scope)) {
                throw new SyntaxError(`the prefix of ${tag} is not declared`);
            }
            const element = { name, namespace: scope[prefix], children: [], text: "", type: typeIn(attributes) };
            top.element.children.push(element);
            if (!selfClosing) {
                open.push({ element, scope, tag });
            }
        }
    }
    if (open.length !== 1 || root.children.length !== 1 || root.text.trim() !== "") {
        throw new SyntaxError("a document has one root element, and closes it");
    }
    return root.children[0];
}

function typeIn(attributes) {
    return /\s[\w.-]+:type\s*=\s*["'](?:[\w.-]+:)?([\w.-]+)["']/.exec(attributes)?.[1];
}

function declaredNamespaces(attributes) {
    const found = {};
    for (const [, prefix = "", double, single] of
        attributes.matchAll(/(?<![\w:.-])xmlns(?::([\w.-]+))?\s*=\s*(?:"([^"]*)"|'([^']*)')/g)) {
        found[prefix] = unescapeXml(double ?? single);
    }
    return found;
}

/** First child of that name and namespace, or undefined. */
export function childOf(element, name, namespace) {
    return element.children.find((child) => child.name === name && child.namespace === namespace);
}
