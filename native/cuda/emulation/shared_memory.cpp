#include "cuda/emulation/shared_memory.h"

#include <elf.h>
#include <fcntl.h>
#include <link.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cstdint>
#include <cstdlib>
#include <cstring>
#include <mutex>
#include <new>

#include "cuda/emulation/multiprocessor.h"
#include "cuda/emulation/sanitizer.h"

namespace tvn::emulation {
namespace {

constexpr std::size_t guard_bytes = 256;
constexpr int guard_value = 0xA5, fresh_value = 0xFF;
constexpr std::size_t alignment = 128;

std::size_t guard() { return address_sanitizer() ? 0 : guard_bytes; }

/** A static __shared__ variable: its place in the thread-local memory of this program or library. */
struct Variable {
  std::size_t offset, size;
};

/** The object file that holds this code, and the calling thread's thread-local memory of it. */
struct Module {
  std::uintptr_t address;  // some address in it
  const char* file = nullptr;
  unsigned char* thread_local_memory = nullptr;
};

int find_module(dl_phdr_info* info, std::size_t, void* data) {
  Module& module = *static_cast<Module*>(data);
  for (int i = 0; i < info->dlpi_phnum; i++) {
    const ElfW(Phdr)& segment = info->dlpi_phdr[i];
    if (segment.p_type != PT_LOAD || module.address - info->dlpi_addr - segment.p_vaddr >= segment.p_memsz) continue;
    module.file = info->dlpi_name[0] ? info->dlpi_name : "/proc/self/exe";
    module.thread_local_memory = static_cast<unsigned char*>(info->dlpi_tls_data);
    return 1;
  }
  return 0;
}

Module this_module() {
  Module module{reinterpret_cast<std::uintptr_t>(&find_module)};
  dl_iterate_phdr(find_module, &module);
  return module;
}

/** The thread_local variables of functions, by the symbols of an ELF file; none where it has been stripped. */
std::vector<Variable> thread_local_variables_of_functions(const unsigned char* image, std::size_t size) {
  std::vector<Variable> variables;
  const auto& header = *reinterpret_cast<const ElfW(Ehdr)*>(image);
  if (size < sizeof header || header.e_shoff + header.e_shnum * sizeof(ElfW(Shdr)) > size) return variables;
  const auto* sections = reinterpret_cast<const ElfW(Shdr)*>(image + header.e_shoff);
  for (int s = 0; s < header.e_shnum; s++) {
    if (sections[s].sh_type != SHT_SYMTAB) continue;
    const auto* symbols = reinterpret_cast<const ElfW(Sym)*>(image + sections[s].sh_offset);
    const auto* names = reinterpret_cast<const char*>(image + sections[sections[s].sh_link].sh_offset);
    for (std::size_t i = 0; i < sections[s].sh_size / sizeof(ElfW(Sym)); i++)
      if ((symbols[i].st_info & 15) == STT_TLS && symbols[i].st_size > 0 && std::strncmp(names + symbols[i].st_name, "_ZZ", 3) == 0)
        variables.push_back({symbols[i].st_value, symbols[i].st_size});
  }
  return variables;
}

std::vector<Variable> read_variables() {
  std::vector<Variable> variables;
  const int file = open(this_module().file, O_RDONLY | O_CLOEXEC);
  struct stat status;
  if (file < 0) return variables;
  if (fstat(file, &status) == 0) {
    const auto size = static_cast<std::size_t>(status.st_size);
    void* image = mmap(nullptr, size, PROT_READ, MAP_PRIVATE, file, 0);
    if (image != MAP_FAILED) {
      variables = thread_local_variables_of_functions(static_cast<unsigned char*>(image), size);
      munmap(image, size);
    }
  }
  close(file);
  return variables;
}

/** This thread's. Not a variable of a function: it would be taken for a kernel's. */
constinit thread_local unsigned char* thread_local_memory = nullptr;

const std::vector<Variable>& static_variables() {
  static const std::vector<Variable> variables = address_sanitizer() ? std::vector<Variable>() : read_variables();
  return variables;
}

/** Looks at the first, middle and last bytes: kernels write their arrays from end to end, and to look at all would take too long. */
bool seems_fresh(const unsigned char* data, std::size_t size) {
  const std::size_t looked_at = std::min<std::size_t>(size, 16);
  for (const std::size_t at : {std::size_t{0}, (size - looked_at) / 2, size - looked_at})
    for (std::size_t i = 0; i < looked_at; i++)
      if (data[at + i] != fresh_value) return false;
  return true;
}

}  // namespace

SharedMemory::~SharedMemory() { std::free(memory_); }

void SharedMemory::allocate(std::size_t bytes) {
  std::free(memory_);
  memory_ = nullptr;
  bytes_ = bytes;
  if (bytes == 0) return;
  void* memory = nullptr;
  if (posix_memalign(&memory, alignment, bytes + guard()) != 0) throw std::bad_alloc();
  memory_ = static_cast<unsigned char*>(memory);
  std::memset(memory_ + bytes, guard_value, guard());
}

void SharedMemory::begin_block() {
  if (bytes_) std::memset(memory_, fresh_value, bytes_);
  if (static_variables().empty()) return;
  if (!thread_local_memory) thread_local_memory = this_module().thread_local_memory;
  for (const Variable& variable : static_variables())
    if (unsigned char* data = thread_local_memory + variable.offset; !seems_fresh(data, variable.size))
      std::memset(data, fresh_value, variable.size);
}

bool SharedMemory::intact() const {
  if (!memory_) return true;
  for (std::size_t i = 0; i < guard(); i++)
    if (memory_[bytes_ + i] != guard_value) return false;
  return true;
}

void* dynamic_shared() { return Multiprocessor::here().shared().dynamic(); }

}  // namespace tvn::emulation
