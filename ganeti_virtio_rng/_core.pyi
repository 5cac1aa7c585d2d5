from typing import Any, Dict, List, Optional, Tuple, Union

DEFAULT: str
HV_VIRTIO_RNG: str
MAX_BYTES: int
PERIOD: int
VALUES: Tuple[str, ...]

def check(value: object, /) -> bool: ...
def check_source(value: str, /) -> None: ...
def build_argv(value: str,
               kvm_cmd: Union[List[Any], Tuple[Any, ...]] = ...,
               pci_slot: Optional[int] = ...) -> List[str]: ...
def read_options(kvm_cmd: Union[List[Any], Tuple[Any, ...]], /
                 ) -> List[Tuple[str, Dict[str, Union[str, int]]]]: ...
