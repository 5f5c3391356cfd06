// A stand-in for libnvrtc.so: sources are compiled by g++ against the shim, to libraries that the stand-in for libcuda.so.1 loads.
//
// What "PTX" it gives is two lines: the version that every PTX names, and the library's path. Libraries lie in the folder STANDIN_NVRTC
// names, by what they were made from. STANDIN_NVRTC_FAIL=1: nothing compiles. STANDIN_PLANT_FROM and _TO: a mistake is planted in the source.
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <fstream>
#include <functional>
#include <regex>
#include <string>
#include <unistd.h>

#define API extern "C" __attribute__((visibility("default"))) int
struct Program { std::string source, ptx, log; };

API nvrtcVersion(int* major, int* minor) { *major = 12; *minor = 0; return 0; }
API nvrtcCreateProgram(Program** program, const char* source, const char*, int, const char* const*, const char* const*) { *program = new Program{source, "", ""}; return 0; }
API nvrtcDestroyProgram(Program** program) { delete *program; *program = nullptr; return 0; }
API nvrtcGetProgramLogSize(Program* p, size_t* n) { *n = p->log.size() + 1; return 0; }
API nvrtcGetProgramLog(Program* p, char* to) { strcpy(to, p->log.c_str()); return 0; }
API nvrtcGetPTXSize(Program* p, size_t* n) { *n = p->ptx.size() + 1; return 0; }
API nvrtcGetPTX(Program* p, char* to) { strcpy(to, p->ptx.c_str()); return 0; }

// The source, and a table of its kernels by name for the stand-in's cuModuleGetFunction.
static std::string with_table(const std::string& source) {
    std::string all = "#include \"hostshim.h\"\n" + source + "\nstruct Entry { const char* name; size_t bytes; void (*call)(const void*); };\n"
        "extern \"C\" __attribute__((visibility(\"default\"))) const Entry standin_kernels[] = {\n";
    // Kernels are declared by macros, one a line.
    const std::regex kernel(R"(\n(?:KERNEL\(\d+\) (chain\w+)\((\w+) p\)|(CHAINED|MEASURED)_KERNEL\(\d+, (\w+),))");
    for (std::sregex_iterator at(source.begin(), source.end(), kernel), end; at != end; ++at) {
        const bool plain = (*at)[1].matched;
        const std::string name = plain ? (*at)[1].str() : (*at)[4].str();
        const std::string args = plain ? (*at)[2].str() : (*at)[3].str() == "CHAINED" ? "ChainedArgs" : "MeasuredArgs";
        all += "{\"" + name + "\", sizeof(" + args + "), [](const void* p) { " + name + "(*(const " + args + "*)p); }},\n";
    }
    return all + "{nullptr, 0, nullptr}};\n"
        "extern \"C\" __attribute__((visibility(\"default\"))) long standin_run(unsigned gx, unsigned gy, unsigned gz, unsigned threads, size_t shared, int order, void (*call)(const void*), const void* args) {\n"
        "    const long before = shim::work;\n"
        "    shim::launch({gx, gy, gz}, {threads, 1, 1}, shared, order, [&] { call(args); });\n"
        "    return shim::work - before;\n"
        "}\n";
}

API nvrtcCompileProgram(Program* p, int, const char* const*) {
    const char* folder = getenv("STANDIN_NVRTC");
    if (!folder || getenv("STANDIN_NVRTC_FAIL")) { p->log = "recslowfast.cu(1): error: as the test ordered"; return 6; }
    if (const char* from = getenv("STANDIN_PLANT_FROM")) {
        const size_t at = p->source.find(from);
        if (at == std::string::npos || p->source.find(from, at + 1) != std::string::npos) {
            fprintf(stderr, "STAND-IN: not one place to plant a mistake in\n");
            p->log = "recslowfast.cu(1): error: not one place to plant a mistake in";
            return 6;
        }
        p->source.replace(at, strlen(from), getenv("STANDIN_PLANT_TO"));
    }
    const std::string text = with_table(p->source);
    char name[64];
    snprintf(name, sizeof name, "/%016zx-" STANDIN_BUILD, std::hash<std::string>()(text));
    const std::string library = folder + std::string(name) + ".so";
    if (access(library.c_str(), R_OK) != 0) {
        const std::string source = folder + std::string(name) + "-" + std::to_string(getpid());
        std::ofstream(source + ".cpp") << text;
        const std::string command = "g++ -std=c++17 -march=native -shared -fPIC -fvisibility=hidden -ffp-contract=off -w " STANDIN_FLAGS " " + source + ".cpp -o " + source + ".so 2> " + source + ".log";
        // g++ is no part of the program under test: what is preloaded into that is not its own.
        if (system(("LD_PRELOAD= LD_LIBRARY_PATH= " + command).c_str()) != 0) {
            std::ifstream log(source + ".log");
            for (std::string line; std::getline(log, line);) fprintf(stderr, "g++: %s\n", line.c_str());
            p->log = "recslowfast.cu(1): error: g++ does not compile it";
            return 6;
        }
        rename((source + ".so").c_str(), library.c_str());
        remove((source + ".log").c_str());
    }
    p->ptx = ".version stand-in\n" + library;
    return 0;
}
