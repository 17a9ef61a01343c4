#include "cuda/emulation/module.h"

#include <elf.h>
#include <fcntl.h>
#include <link.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cstdint>
#include <cstring>

namespace tvn::emulation {
namespace {

int find_module(dl_phdr_info* info, std::size_t, void* found) {
  const auto address = reinterpret_cast<std::uintptr_t>(&find_module);
  for (int i = 0; i < info->dlpi_phnum; i++) {
    const ElfW(Phdr)& segment = info->dlpi_phdr[i];
    if (segment.p_type != PT_LOAD || address - info->dlpi_addr - segment.p_vaddr >= segment.p_memsz) continue;
    *static_cast<Module*>(found) = {info->dlpi_name[0] ? info->dlpi_name : "/proc/self/exe",
                                    reinterpret_cast<unsigned char*>(info->dlpi_addr), static_cast<unsigned char*>(info->dlpi_tls_data)};
    return 1;
  }
  return 0;
}

std::vector<Variable> variables_in(const unsigned char* image, std::size_t size, int type) {
  std::vector<Variable> variables;
  const auto& header = *reinterpret_cast<const ElfW(Ehdr)*>(image);
  if (size < sizeof header || header.e_shoff + header.e_shnum * sizeof(ElfW(Shdr)) > size) return variables;
  const auto* sections = reinterpret_cast<const ElfW(Shdr)*>(image + header.e_shoff);
  for (int s = 0; s < header.e_shnum; s++) {
    if (sections[s].sh_type != SHT_SYMTAB) continue;
    const auto* symbols = reinterpret_cast<const ElfW(Sym)*>(image + sections[s].sh_offset);
    const auto* names = reinterpret_cast<const char*>(image + sections[sections[s].sh_link].sh_offset);
    for (std::size_t i = 0; i < sections[s].sh_size / sizeof(ElfW(Sym)); i++) {
      const ElfW(Sym)& symbol = symbols[i];
      if ((symbol.st_info & 15) != type || symbol.st_size == 0 || symbol.st_shndx >= header.e_shnum) continue;
      if (sections[symbol.st_shndx].sh_type == SHT_NOBITS && std::strncmp(names + symbol.st_name, "_ZZ", 3) == 0)
        variables.push_back({symbol.st_value, symbol.st_size});
    }
  }
  return variables;
}

}  // namespace

Module this_module() {
  Module module{};
  dl_iterate_phdr(find_module, &module);
  return module;
}

std::vector<Variable> variables_of_functions(bool of_threads) {
  std::vector<Variable> variables;
  const int file = open(this_module().file, O_RDONLY | O_CLOEXEC);
  struct stat status;
  if (file < 0) return variables;
  if (fstat(file, &status) == 0) {
    const auto size = static_cast<std::size_t>(status.st_size);
    void* image = mmap(nullptr, size, PROT_READ, MAP_PRIVATE, file, 0);
    if (image != MAP_FAILED) {
      variables = variables_in(static_cast<unsigned char*>(image), size, of_threads ? STT_TLS : STT_OBJECT);
      munmap(image, size);
    }
  }
  close(file);
  return variables;
}

}  // namespace tvn::emulation
