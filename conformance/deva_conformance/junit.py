"""The report as JUnit's XML, which every CI server shows."""

from xml.etree.ElementTree import Element, SubElement, indent, tostring

from deva_conformance.report import Report, Result

SKIPPED = ("not_supported", "expected", "not_run")


def testcase(suite: Element, result: Result) -> None:
    """One result."""
    case = SubElement(suite, "testcase", name=result.law, classname=f"{result.backend}.{result.rule}")
    case.set("time", f"{result.seconds:.3f}")
    if result.broken:
        kind = "failure" if result.status == "fail" else "error"
        SubElement(case, kind, message=printable(result.line)).text = printable(result.reproducer)
    elif result.status in SKIPPED:
        SubElement(case, "skipped", message=printable(f"{result.status.replace('_', ' ')}: {result.cause}"))


def printable(text: str) -> str:
    """Text without the characters that XML cannot hold."""
    return "".join(c if c.isprintable() or c in "\n\t" else "?" for c in text)


def junit(report: Report) -> str:
    """The XML, a suite for each backend."""
    root = Element("testsuites", name="deva_conformance")
    for backend in dict.fromkeys(r.backend for r in report.results):
        results = [r for r in report.results if r.backend == backend]
        suite = SubElement(root, "testsuite", name=backend, tests=str(len(results)))
        suite.set("failures", str(sum(r.status == "fail" for r in results)))
        suite.set("errors", str(sum(r.status == "error" for r in results)))
        suite.set("skipped", str(sum(r.status in SKIPPED for r in results)))
        suite.set("time", f"{sum(r.seconds for r in results):.3f}")
        for result in results:
            testcase(suite, result)
    indent(root)
    return '<?xml version="1.0" encoding="utf-8"?>\n' + tostring(root, encoding="unicode") + "\n"
