// Copyright the escqrs authors. Distributed under the Boost Software License, Version 1.0.

// The filters of a subscription's rules: SQL expressions and correlation filters.
// See https://learn.microsoft.com/azure/service-bus-messaging/service-bus-messaging-sql-filter

/** An expression that the service would refuse. */
export class FilterError extends Error {}

const systemProperties = {
    label: "subject", subject: "subject", messageid: "messageId", correlationid: "correlationId", sessionid: "sessionId",
    to: "to", replyto: "replyTo", replytosessionid: "replyToSessionId", contenttype: "contentType",
};
const token = /\s*(?:(\d+(?:\.\d*)?(?:[eE][+-]?\d+)?)|'((?:[^']|'')*)'|"((?:[^"]|"")+)"|\[((?:[^\]]|\]\])+)\]|([A-Za-z_]\w*)|(<>|!=|<=|>=|[-=<>+*/%().,]))/y;

/** A message matches a filter if the expression is true; unknown, as of a property that it does not have, is not. */
export function sqlFilter(expression) {
    const evaluate = new Parser(expression).parse();
    return (message) => evaluate(message) === true;
}

/** All fields that are given must be equal: those of `message` by the same names, and its application properties. */
export function correlationFilter({ properties = {}, ...fields }) {
    return (message) => Object.entries(fields).every(([name, value]) => message[name] === value) &&
        Object.entries(properties).every(([name, value]) => userProperty(message, name) === value);
}

function userProperty(message, name) {
    const found = Object.keys(message.properties).find((each) => each.toLowerCase() === name.toLowerCase());
    const value = found === undefined ? undefined : message.properties[found];
    return value instanceof Date ? value.getTime() : value;
}

/** Turns an expression into a function of a message; its value is undefined if it is unknown. */
class Parser {
    #tokens = [];
    #at = 0;

    constructor(expression) {
        token.lastIndex = 0;
        while (expression.slice(token.lastIndex).trim() !== "") {
            const at = token.lastIndex;
            const match = token.exec(expression);
            if (!match) {
                throw new FilterError(`The expression cannot be read from '${expression.slice(at, at + 20)}' on.`);
            }
            const [, number, text, quoted, bracketed, word, sign] = match;
            this.#tokens.push(number !== undefined ? { value: Number(number) }
                : text !== undefined ? { value: text.replaceAll("''", "'") }
                    : quoted !== undefined ? { name: quoted.replaceAll('""', '"') }
                        : bracketed !== undefined ? { name: bracketed.replaceAll("]]", "]") }
                            : word !== undefined ? { name: word, word: word.toUpperCase() } : { word: sign });
        }
    }

    parse() {
        const evaluate = this.#or();
        if (this.#at < this.#tokens.length) {
            throw new FilterError("The expression goes on where its end was expected.");
        }
        return evaluate;
    }

    #take(...words) {
        const word = this.#tokens[this.#at]?.word;
        if (words.includes(word)) {
            this.#at++;
            return word;
        }
        return undefined;
    }

    #need(word) {
        if (!this.#take(word)) {
            throw new FilterError(`The expression has no '${word}' where it was expected.`);
        }
    }

    #or() {
        let left = this.#and();
        while (this.#take("OR")) {
            const [first, second] = [left, this.#and()];
            left = (message) => {
                const [a, b] = [first(message), second(message)];
                return a === true || b === true ? true : a === undefined || b === undefined ? undefined : false;
            };
        }
        return left;
    }

    #and() {
        let left = this.#not();
        while (this.#take("AND")) {
            const [first, second] = [left, this.#not()];
            left = (message) => {
                const [a, b] = [first(message), second(message)];
                return a === false || b === false ? false : a === undefined || b === undefined ? undefined : true;
            };
        }
        return left;
    }

    #not() {
        if (!this.#take("NOT")) {
            return this.#predicate();
        }
        return negated(this.#not());
    }

    #predicate() {
        if (this.#take("EXISTS")) {
            this.#need("(");
            const property = this.#property();
            this.#need(")");
            return (message) => property(message) !== undefined;
        }
        const left = this.#sum();
        const comparison = this.#take("=", "<>", "!=", "<", "<=", ">", ">=");
        if (comparison) {
            const right = this.#sum();
            return (message) => compared(comparison, left(message), right(message));
        }
        if (this.#take("IS")) {
            const isNegated = this.#take("NOT");
            this.#need("NULL");
            return (message) => (left(message) === undefined) !== Boolean(isNegated);
        }
        const isNegated = this.#take("NOT");
        const test = this.#take("IN") ? this.#in(left) : this.#take("LIKE") ? this.#like(left) : undefined;
        if (!test && isNegated) {
            throw new FilterError("The expression has a NOT where none was expected.");
        }
        return test ? (isNegated ? negated(test) : test) : left;
    }

    #in(left) {
        this.#need("(");
        const choices = [this.#sum()];
        while (this.#take(",")) {
            choices.push(this.#sum());
        }
        this.#need(")");
        return (message) => left(message) === undefined ? undefined
            : choices.some((choice) => compared("=", left(message), choice(message)) === true);
    }

    #like(left) {
        const pattern = this.#sum();
        return (message) => {
            const [text, like] = [left(message), pattern(message)];
            if (typeof text !== "string" || typeof like !== "string") {
                return undefined;
            }
            const source = like.replace(/[.*+?^${}()|[\]\\]/g, "\\$&").replaceAll("%", "[^]*").replaceAll("_", "[^]");
            return new RegExp(`^${source}$`).test(text);
        };
    }

    #sum() {
        let left = this.#product();
        for (let sign; (sign = this.#take("+", "-"));) {
            left = calculated(sign, left, this.#product());
        }
        return left;
    }

    #product() {
        let left = this.#operand();
        for (let sign; (sign = this.#take("*", "/", "%"));) {
            left = calculated(sign, left, this.#operand());
        }
        return left;
    }

    #operand() {
        if (this.#take("(")) {
            const inner = this.#or();
            this.#need(")");
            return inner;
        }
        if (this.#take("-")) {
            return calculated("-", () => 0, this.#operand());
        }
        const next = this.#tokens[this.#at];
        if (next && "value" in next) {
            this.#at++;
            return () => next.value;
        }
        const constant = this.#take("TRUE", "FALSE", "NULL");
        if (constant) {
            return () => ({ TRUE: true, FALSE: false })[constant];
        }
        return this.#property();
    }

    #property() {
        const first = this.#name();
        if (!this.#take(".")) {
            return (message) => userProperty(message, first);
        }
        const second = this.#name();
        switch (first.toLowerCase()) {
            case "user":
                return (message) => userProperty(message, second);
            case "sys": {
                const field = systemProperties[second.toLowerCase()];
                if (!field) {
                    throw new FilterError(`There is no system property '${second}'.`);
                }
                return (message) => message[field];
            }
            default:
                throw new FilterError(`There is no scope '${first}'.`);
        }
    }

    #name() {
        const { name } = this.#tokens[this.#at++] ?? {};
        if (name === undefined) {
            throw new FilterError("The expression has no property or value where one was expected.");
        }
        return name;
    }
}

function negated(evaluate) {
    return (message) => {
        const value = evaluate(message);
        return value === undefined ? undefined : !value;
    };
}

function compared(comparison, left, right) {
    if (left === undefined || right === undefined || typeof left !== typeof right) {
        return undefined;
    }
    switch (comparison) {
        case "=": return left === right;
        case "<": return left < right;
        case "<=": return left <= right;
        case ">": return left > right;
        case ">=": return left >= right;
        default: return left !== right;
    }
}

function calculated(sign, left, right) {
    return (message) => {
        const [a, b] = [left(message), right(message)];
        if (sign === "+" && typeof a === "string" && typeof b === "string") {
            return a + b;
        }
        if (typeof a !== "number" || typeof b !== "number") {
            return undefined;
        }
        return { "+": a + b, "-": a - b, "*": a * b, "/": a / b, "%": a % b }[sign];
    };
}
