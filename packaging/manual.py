#!/usr/bin/env python3
"""Writes manual pages from what the program says of itself: one page for it, and one for each of its commands.

    cloudwright --experimental-dump-help | manual.py VERSION DIRECTORY
"""

import json
import os
import re
import sys


def text(words):
    """Plain words as roff."""
    words = (words or "").replace("\\", "\\e").replace("-", "\\-")
    return re.sub(r"(?m)^([.'])", r"\\&\1", words)


def names(argument):
    def spell(name):
        return ("--" if name["kind"] == "long" else "-") + name["name"]

    value = argument.get("valueName") or "value"
    if argument["kind"] == "positional":
        return f"\\fI{text(value)}\\fR"
    spelled = ", ".join(f"\\fB{text(spell(name))}\\fR" for name in argument.get("names") or [])
    return spelled if argument["kind"] == "flag" else f"{spelled} \\fI{text(value)}\\fR"


def arguments(command):
    shown = [argument for argument in command.get("arguments", []) if argument.get("shouldDisplay", True)]
    for kind, title in (("positional", "ARGUMENTS"), ("option", "OPTIONS"), ("flag", "FLAGS")):
        some = [argument for argument in shown if argument["kind"] == kind]
        if not some:
            continue
        yield f".SH {title}"
        for argument in some:
            yield ".TP"
            yield names(argument)
            yield text(argument.get("abstract")) or "\\&"
            if argument.get("defaultValue"):
                yield f"Default: {text(argument['defaultValue'])}."


def usage(path, command):
    words = [f"\\fB{text(' '.join(path))}\\fR"]
    for argument in command.get("arguments", []):
        if not argument.get("shouldDisplay", True) or argument.get("valueName") in ("help", "version"):
            continue
        word = names(argument) if argument["kind"] == "positional" else names(argument).split(", ")[-1]
        words.append(f"[{word}]" if argument.get("isOptional") else word)
    if command.get("subcommands"):
        words.append("\\fIcommand\\fR")
    return " ".join(words)


def page(path, command, version):
    title = "-".join(path)
    yield f'.TH "{title.upper()}" 1 "" "cloudwright {version}" "Cloudwright"'
    yield ".SH NAME"
    yield f"{text(title)} \\- {text(command.get('abstract')).rstrip('.')}"
    yield ".SH SYNOPSIS"
    yield usage(path, command)
    if command.get("discussion"):
        yield ".SH DESCRIPTION"
        yield text(command["discussion"])
    yield from arguments(command)
    subcommands = visible(command)
    if subcommands:
        yield ".SH COMMANDS"
        for subcommand in subcommands:
            yield ".TP"
            yield f"\\fB{text('-'.join([*path, subcommand['commandName']]))}\\fR(1)"
            yield text(subcommand.get("abstract")) or "\\&"
    if path == ["cloudwright"]:
        yield ".SH FILES"
        for name, meaning in (
            ("/etc/cloudwright/cloud.yaml", "The configuration that the service runs with."),
            ("/var/lib/cloudwright", "Log database, spools, instances' output, keys. Back it up."),
        ):
            yield ".TP"
            yield f"\\fI{text(name)}\\fR"
            yield meaning
    elif len(path) > 1:
        yield ".SH SEE ALSO"
        yield f"\\fB{text('-'.join(path[:-1]))}\\fR(1)"


def visible(command):
    return [
        subcommand
        for subcommand in command.get("subcommands") or []
        if subcommand.get("shouldDisplay", True) and subcommand["commandName"] != "help"
    ]


def write(path, command, version, directory):
    name = os.path.join(directory, "-".join(path) + ".1")
    with open(name, "w", encoding="utf-8") as file:
        file.write("\n".join(page(path, command, version)) + "\n")
    for subcommand in visible(command):
        write([*path, subcommand["commandName"]], subcommand, version, directory)


def main():
    if len(sys.argv) != 3:
        sys.exit(__doc__)
    os.makedirs(sys.argv[2], exist_ok=True)
    write(["cloudwright"], json.load(sys.stdin)["command"], sys.argv[1], sys.argv[2])


if __name__ == "__main__":
    main()
