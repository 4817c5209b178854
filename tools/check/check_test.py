#!/usr/bin/env python3
"""The checker checked: each rule reports a bad sample and lets a good one pass."""

import pathlib
import subprocess
import tempfile
import unittest

import check
import cpp_source
import rules

LAYERS = rules.parse_table("base:\ncrypto: base\nloop: base\nrtc: base crypto loop\napp: *\n")
THIRD_PARTY = rules.parse_table("boost/: loop\nusrsctp.h: rtc/sctp\nfmt/: *\n")


def found(path, text):
    """The names of the rules that a file of this content breaks."""
    return {rule for _, rule, _ in rules.check_file(path, text, LAYERS, THIRD_PARTY)}


def body(lines):
    return "int f(int a) {\n" + "    a += 1;\n" * lines + "    return a;\n}\n"


def nested(depth):
    return "void f() {\n" + "if (a) {\n" * depth + "}\n" * depth + "}\n"


class Layers(unittest.TestCase):
    def test_an_include_against_the_table(self):
        self.assertEqual(found("src/crypto/a.cc", '#include "rtc/endpoint.h"\n'), {"layers"})
        self.assertEqual(found("src/rtc/a.cc", '#include "crypto/hash.h"\n'), set())
        self.assertEqual(found("src/app/a.cc", '#include "rtc/endpoint.h"\n'), set())

    def test_an_include_without_its_folder(self):
        self.assertEqual(found("src/rtc/a.cc", '#include "endpoint.h"\n'), {"layers"})

    def test_an_include_of_no_layer(self):
        self.assertEqual(found("src/rtc/a.cc", '#include "tests/support/a.h"\n'), {"layers"})
        self.assertEqual(found("src/rtc/a_test.cc", '#include "tests/support/a.h"\n'), set())

    def test_a_folder_that_is_no_layer(self):
        self.assertEqual(found("src/stuff/a.cc", ""), {"layers"})

    def test_linking_against_the_table(self):
        path = "src/crypto/CMakeLists.txt"
        self.assertEqual(found(path, "kollator_layer(crypto USES base rtc)\n"), {"layers"})
        self.assertEqual(found(path, "kollator_layer(crypto USES base LIBRARIES x::y)\n"), set())

    def test_a_circle_or_a_stranger_in_the_table(self):
        for text in ("a: b\nb: a\n", "a: nobody\n", "a: b\nb: c\nc: b\n"):
            self.assertTrue(list(rules.check_layer_table(rules.parse_table(text))), text)
        self.assertFalse(list(rules.check_layer_table(LAYERS)))


class ThirdParty(unittest.TestCase):
    def test_a_library_outside_its_layer(self):
        self.assertEqual(found("src/rtc/a.cc", "#include <boost/asio.hpp>\n"), {"third-party"})
        self.assertEqual(found("src/loop/a.cc", "#include <boost/asio.hpp>\n"), set())
        self.assertEqual(found("src/rtc/a.cc", "#include <fmt/core.h>\n"), set())

    def test_a_library_outside_its_folder(self):
        self.assertEqual(found("src/rtc/a.cc", "#include <usrsctp.h>\n"), {"third-party"})
        self.assertEqual(found("src/rtc/sctp/a.cc", "#include <usrsctp.h>\n"), set())

    def test_a_library_nobody_listed(self):
        self.assertEqual(found("src/rtc/a.cc", "#include <absl/types.h>\n"), {"third-party"})
        self.assertEqual(found("src/rtc/a.cc", "#include <sys/socket.h>\n"), set())

    def test_tests_are_exempt(self):
        self.assertEqual(found("src/rtc/a_test.cc", "#include <boost/asio.hpp>\n"), set())


class Sizes(unittest.TestCase):
    def test_a_long_file(self):
        self.assertEqual(found("src/rtc/a.cc", "int a;\n" * 501), {"file-size"})
        self.assertEqual(found("src/rtc/a.cc", "int a;\n" * 500), set())
        self.assertEqual(found("src/rtc/a_test.cc", "int a;\n" * 501), {"file-size"})
        self.assertEqual(found("src/rtc/a_test.cc", "int a;\n" * 500), set())
        header = "#pragma once\n"
        self.assertEqual(found("src/rtc/a.h", header + "int a;\n" * 250), {"file-size"})
        self.assertEqual(found("src/rtc/a.h", header + "int a;\n" * 249), set())

    def test_a_long_function(self):
        self.assertEqual(found("src/rtc/a.cc", body(70)), {"function-size"})
        self.assertEqual(found("src/rtc/a.cc", body(68)), set())

    def test_a_long_method_test_and_constructor(self):
        lines = "    a();\n" * 70
        for head in ("class A {\n    void f() const noexcept {", "TEST(A, B) {",
                     "namespace n {\nA::A(int b) : b_{b}, c_(b) {",
                     "template <typename T>\nT f() {",
                     "auto f(std::function<void(int)> done) -> int {", "bool operator==(A a) {",
                     'extern "C" int f(int a) {', "B f(const A& a = {}) {"):
            closing = "}\n" * head.count("{")
            closing = closing if "= {}" not in head else "}\n"
            self.assertEqual(found("src/rtc/a.cc", f"{head}\n{lines}{closing}"),
                             {"function-size"}, head)

    def test_a_long_class_or_table_is_no_function(self):
        lines = "    {1, 2},\n" * 80
        for head in ("class A {", "enum class A {", "const A kTable[] = {", "struct A final : B {",
                     "namespace a::b {", "constexpr std::array<A, 80> kTable{{"):
            closing = "}" * head.count("{") + ";\n"
            self.assertNotIn("function-size", found("src/rtc/a.cc", head + lines + closing), head)

    def test_deep_nesting(self):
        self.assertEqual(found("src/rtc/a.cc", nested(5)), {"nesting"})
        self.assertEqual(found("src/rtc/a.cc", nested(4)), set())

    def test_every_kind_of_block_nests(self):
        deep = ("void f() {\nfor (int i = 0; i < 3; ++i) {\nwhile (g(h())) {\ndo {\n"
                "if (a) {\n} else {\nswitch (x) {\n}\n}\n} while (b);\n}\n}\n}\n")
        self.assertEqual([f.nesting for f in cpp_source.functions(deep)], [5])

    def test_braces_in_text_and_comments_do_not_count(self):
        text = 'void f() {\n  g("{{{", \'{\', R"x({{)x");  // {{{\n  /* { */ }\nvoid h() {}\n'
        names = [function.name for function in cpp_source.functions(cpp_source.strip(text))]
        self.assertEqual(names, ["f", "h"])

    def test_lambdas_and_initializers_end_no_function(self):
        text = ("void f() {\n  const A a{.b = {1, 2}};\n  post([a](int b) {\n    g({b});\n  });\n"
                "  x = [&] { return 1; }();\n  for (int i : {1, 2}) {\n  }\n}\n"
                "int h() { return 2; }\n")
        functions = cpp_source.functions(text)
        self.assertEqual([(f.name, f.nesting) for f in functions], [("f", 1), ("h", 0)])

    def test_a_long_line(self):
        self.assertEqual(found("src/rtc/a.cc", "//" + "x" * 99 + "\n"), {"columns"})
        self.assertEqual(found("src/rtc/a.cc", "//" + "ä" * 98 + "\n"), set())
        self.assertEqual(found("client/a.ts", "//" + "x" * 119 + "\n"), {"columns"})


class Names(unittest.TestCase):
    def test_a_file_name(self):
        for name in ("DiskCache.cc", "disk-cache.cc", "diskCache.h", "cache.cpp", "cache.hpp"):
            self.assertIn("file-name", found(f"src/rtc/{name}", "#pragma once\n"), name)
        self.assertEqual(found("src/rtc/disk_cache_test.cc", ""), set())

    def test_a_header_without_its_guard(self):
        self.assertEqual(found("src/rtc/a.h", "int f();\n"), {"file-name"})


class Purity(unittest.TestCase):
    BAD = ("auto n = std::chrono::steady_clock::now();", "int r = rand();", "::getrandom(p, n, 0);",
           "std::this_thread::sleep_for(s);", "std::random_device device;", "RAND_bytes(p, 4);",
           "std::time(nullptr);", "usleep(5);")

    def test_clock_randomness_and_sleep(self):
        for line in self.BAD:
            self.assertEqual(found("src/rtc/a.cc", f"void f() {{\n{line}\n}}\n"), {"purity"}, line)
            self.assertEqual(found("src/loop/a.cc", f"void f() {{\n{line}\n}}\n"), set(), line)

    def test_words_and_names_alike_pass(self):
        for line in ("// rand() is not for us", 'log("sleep_for (a while)");', "operand(x);",
                     "random.fill(key);", "clock_.now();"):
            self.assertEqual(found("src/rtc/a.cc", line + "\n"), set(), line)


class TypeScript(unittest.TestCase):
    def test_any(self):
        for line in ("let a: any;", "const b = c as any;", "type A = Array<any>;", "let d: any[];",
                     "f((x: any) => x);", "// @ts-ignore", "type M = Map<string, any>;"):
            self.assertEqual(found("client/a.ts", line + "\n"), {"any"}, line)

    def test_the_word_any_elsewhere(self):
        for line in ("await Promise.any(all);", "// any will do", 'const a = "any";',
                     "const many = company;", "const t = `as any`;", "AbortSignal.any([a, b]);"):
            self.assertEqual(found("client/a.ts", line + "\n"), set(), line)


class Allowance(unittest.TestCase):
    def test_a_reason_beside_the_line_excuses_it(self):
        clock = "auto n = std::chrono::steady_clock::now();"
        why = "// check: allow(purity) measured only to be shown"
        self.assertEqual(found("src/rtc/a.cc", f"{why}\n{clock}\n"), set())
        self.assertEqual(found("src/rtc/a.cc", f"{clock}  {why}\n"), set())
        self.assertEqual(found("src/rtc/a.cc", f"{why}\n\n{clock}\n"), {"purity"})
        self.assertEqual(found("src/rtc/a.cc", f"// check: allow(purity)\n{clock}\n"), {"purity"})
        other = "// check: allow(layers) a reason for something else"
        self.assertEqual(found("src/rtc/a.cc", f"{other}\n{clock}\n"), {"purity"})


class Format(unittest.TestCase):
    def test_badly_formatted_code(self):
        with tempfile.TemporaryDirectory() as folder:
            style = (check.ROOT / ".clang-format").read_text()
            (pathlib.Path(folder) / ".clang-format").write_text(style)
            bad, good = pathlib.Path(folder) / "bad.cc", pathlib.Path(folder) / "good.cc"
            bad.write_text("int  f( ){return 1 ;}\n")
            good.write_text("int f() {\n    return 1;\n}\n")
            self.assertEqual([fault[2] for fault in check.check_format([str(bad)])], ["format"])
            self.assertEqual(check.check_format([str(good)]), [])


class Program(unittest.TestCase):
    def test_faults_make_the_exit_code(self):
        script = [str(check.ROOT / "tools/check/check.py")]
        with tempfile.NamedTemporaryFile("w", suffix=".ts") as bad:
            bad.write("let a: any;\n")
            bad.flush()
            result = subprocess.run([*script, bad.name], capture_output=True, text=True)
        self.assertEqual(result.returncode, 1)
        self.assertRegex(result.stdout, r"\.ts:1: \[any\] ")


if __name__ == "__main__":
    unittest.main()
